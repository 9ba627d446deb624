#include "gateway/auth/identify.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"
#include "gateway/auth/secret.h"
#include "tests/gateway/auth/fake_key_store.h"
#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class IdentifierTest : public testing::Test {
 protected:
  std::string Store(std::string id, Role role = Role::kConsumer,
                    std::optional<absl::Time> expire_time = std::nullopt) {
    const std::string secret = NewSecret();
    Key key{.id = id,
            .team = "nlp",
            .role = role,
            .prefix = SecretPrefix(secret),
            .create_time = clock_.Now(),
            .expire_time = expire_time,
            .models = {"ham*"},
            .tiers = {"flex"},
            .tenant = "acme"};
    EXPECT_TRUE(store_.Insert({key, *HashSecret(secret), ""}).ok());
    return secret;
  }

  static std::string ReasonFor(const absl::Status& status) {
    const auto reason = ReasonOf(status);
    return reason ? reason->reason : "";
  }

  test::FakeClock clock_;
  FakeKeyStore store_;
  Identifier identifier_{store_, clock_, {.max_age = absl::Seconds(2), .max_entries = 3}};
};

TEST(BearerToken, IsReadInAnyCaseOfTheScheme) {
  EXPECT_EQ(*BearerToken("Bearer floe-a"), "floe-a");
  EXPECT_EQ(*BearerToken("bearer  floe-a "), "floe-a");
  EXPECT_EQ(ReasonOf(BearerToken("").status())->reason, "KEY_MISSING");
  EXPECT_EQ(ReasonOf(BearerToken("Basic Zm9v").status())->reason, "KEY_MISSING");
  EXPECT_EQ(BearerToken("Bearer").status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(IdentifierTest, TellsWhoseKeyItIsAndWhatItIsLimitedTo) {
  const std::string secret = Store("k1", Role::kDeveloper);
  const auto who = identifier_.Identify(secret);
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->team, "nlp");
  EXPECT_EQ(who->role, Role::kDeveloper);
  EXPECT_EQ(who->key_id, "k1");
  EXPECT_EQ(who->tenant, "acme");
  EXPECT_THAT(who->models, ElementsAre("ham*"));
  EXPECT_THAT(who->tiers, ElementsAre("flex"));
}

TEST_F(IdentifierTest, AnExpiryCountsAtItsMomentAlsoForAKeyThatIsRemembered) {
  const std::string secret = Store("k1", Role::kConsumer, clock_.Now() + absl::Seconds(1));
  ASSERT_TRUE(identifier_.Identify(secret).ok());
  clock_.Advance(absl::Milliseconds(999));
  EXPECT_TRUE(identifier_.Cached(secret)->ok());
  EXPECT_TRUE(identifier_.Identify(secret).ok());
  clock_.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(identifier_.Cached(secret).has_value()) << "it is remembered for two seconds";
  for (const absl::Status& status :
       {identifier_.Cached(secret)->status(), identifier_.Identify(secret).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
    EXPECT_EQ(ReasonFor(status), "KEY_EXPIRED");
    EXPECT_THAT(std::string(status.message()), HasSubstr("expired at"));
  }
  EXPECT_EQ(store_.finds(), 1);
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(ReasonFor(identifier_.Identify(secret).status()), "KEY_EXPIRED");
}

TEST_F(IdentifierTest, RefusesMalformedUnknownAndRevokedKeysByTheirReasons) {
  EXPECT_EQ(ReasonFor(identifier_.Identify("floe-short").status()), "KEY_MALFORMED");
  EXPECT_EQ(store_.finds(), 0) << "a mistyped key is not worth a round trip";
  const std::string stranger = NewSecret();
  const absl::Status unknown = identifier_.Identify(stranger).status();
  EXPECT_EQ(ReasonFor(unknown), "KEY_UNKNOWN");
  EXPECT_EQ(unknown.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(unknown.message()), Not(HasSubstr(stranger)));
  const std::string revoked = Store("k1");
  ASSERT_TRUE(store_.Revoke("nlp", "k1", clock_.Now()).ok());
  EXPECT_EQ(ReasonFor(identifier_.Identify(revoked).status()), "KEY_REVOKED");
}

TEST_F(IdentifierTest, AsksTheStoreOnceWithinMaxAge) {
  const std::string secret = Store("k1");
  EXPECT_FALSE(identifier_.Cached(secret).has_value());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(identifier_.Identify(secret).ok());
  EXPECT_EQ(store_.finds(), 1);
  ASSERT_TRUE(identifier_.Cached(secret).has_value());
  EXPECT_TRUE(identifier_.Cached(secret)->ok());
  clock_.Advance(absl::Seconds(2));
  EXPECT_FALSE(identifier_.Cached(secret).has_value());
}

TEST_F(IdentifierTest, ARevocationElsewhereCountsAfterMaxAge) {
  const std::string secret = Store("k1");
  ASSERT_TRUE(identifier_.Identify(secret).ok());
  ASSERT_TRUE(store_.Revoke("nlp", "k1", clock_.Now()).ok());
  clock_.Advance(absl::Milliseconds(1999));
  EXPECT_TRUE(identifier_.Identify(secret).ok());
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(ReasonFor(identifier_.Identify(secret).status()), "KEY_REVOKED");
}

TEST_F(IdentifierTest, AgeCountsFromBeforeTheLookUp) {
  const std::string secret = Store("k1");
  store_.after_found = [&] { clock_.Advance(absl::Seconds(3)); };
  EXPECT_TRUE(identifier_.Identify(secret).ok());
  EXPECT_FALSE(identifier_.Cached(secret).has_value()) << "the answer is three seconds old";
}

TEST_F(IdentifierTest, ForgettingCountsAtOnceAlsoForALookUpUnderWay) {
  const std::string secret = Store("k1");
  ASSERT_TRUE(identifier_.Identify(secret).ok());
  identifier_.Forget("k1");
  EXPECT_FALSE(identifier_.Cached(secret).has_value());
  store_.after_found = [&] {  // found as good, then revoked before the answer is remembered
    ASSERT_TRUE(store_.Revoke("nlp", "k1", clock_.Now()).ok());
    identifier_.Forget("k1");
  };
  EXPECT_TRUE(identifier_.Identify(secret).ok());
  store_.after_found = nullptr;
  EXPECT_EQ(ReasonFor(identifier_.Identify(secret).status()), "KEY_REVOKED");
}

TEST_F(IdentifierTest, MemoryIsBounded) {
  std::vector<std::string> secrets;
  for (int i = 0; i < 5; ++i) secrets.push_back(Store(absl::StrCat("k", i)));
  for (const std::string& secret : secrets) EXPECT_TRUE(identifier_.Identify(secret).ok());
  int remembered = 0;
  for (const std::string& secret : secrets) remembered += identifier_.Cached(secret).has_value();
  EXPECT_LE(remembered, 3);
  EXPECT_GE(remembered, 1);
}

TEST_F(IdentifierTest, AStoreThatIsAwayIsNotAWrongKey) {
  const std::string secret = Store("k1");
  store_.away = absl::UnavailableError("no database");
  EXPECT_EQ(identifier_.Identify(secret).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace floe::gateway
