#include "gateway/auth/secret.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"
#include "base/sha256.h"

namespace floe::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Secret, CarriesItsBytesInBase62WithAChecksum) {
  SecretBytes zero{};
  EXPECT_THAT(FormatSecret(zero), StartsWith("floe-" + std::string(43, '0')));
  // printf 0…0 (43 times) | sha256sum
  EXPECT_EQ(FormatSecret(zero).substr(48), "b918b2");
  SecretBytes one{};
  one[31] = 61;
  EXPECT_EQ(FormatSecret(one).substr(5, 43), std::string(42, '0') + "z");
  SecretBytes most;
  most.fill(0xff);
  EXPECT_EQ(FormatSecret(most).size(), kSecretLength);
  EXPECT_TRUE(HashSecret(FormatSecret(most)).ok());
}

TEST(Secret, NewOnesDifferAndAreWellFormed) {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const std::string secret = NewSecret();
    EXPECT_EQ(secret.size(), kSecretLength);
    const auto hash = HashSecret(secret);
    ASSERT_TRUE(hash.ok()) << hash.status();
    EXPECT_EQ(*hash, Sha256::Hex(secret));
    seen.insert(secret);
  }
  EXPECT_EQ(seen.size(), 200u);
}

TEST(Secret, EveryMistypedCharacterIsCaughtAndNotRepeated) {
  const std::string secret = NewSecret();
  for (size_t i = 5; i < secret.size(); ++i) {
    std::string typed = secret;
    typed[i] = typed[i] == 'a' ? 'b' : 'a';
    const auto hash = HashSecret(typed);
    ASSERT_EQ(hash.status().code(), absl::StatusCode::kUnauthenticated) << "at " << i;
    EXPECT_EQ(ReasonOf(hash.status())->reason, "KEY_MALFORMED");
    EXPECT_THAT(std::string(hash.status().message()), HasSubstr("mistyped"));
    EXPECT_THAT(std::string(hash.status().message()), Not(HasSubstr(typed.substr(0, 12))));
  }
}

TEST(Secret, SaysWhatIsWrongWithTheText) {
  const std::string secret = NewSecret();
  const auto message = [](std::string_view text) {
    return std::string(HashSecret(text).status().message());
  };
  EXPECT_THAT(message(""), HasSubstr("begin with `floe-`"));
  EXPECT_THAT(message("sk-123"), HasSubstr("begin with `floe-`"));
  EXPECT_THAT(message(secret.substr(0, 53)), HasSubstr("53 characters in place of 54"));
  EXPECT_THAT(message(secret + "x"), HasSubstr("55 characters"));
  std::string odd = secret;
  odd[20] = '-';
  EXPECT_THAT(message(odd), HasSubstr("character 21"));
}

}  // namespace
}  // namespace floe::gateway
