#include "gateway/auth/secret.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/sha256.h"

namespace floe::gateway {
namespace {

constexpr std::string_view kStart = "floe-";
constexpr std::string_view kAlphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr size_t kBodyLength = 43;  // 62^43 > 2^256
constexpr size_t kChecksumLength = 6;
static_assert(kStart.size() + kBodyLength + kChecksumLength == kSecretLength);

// The number `bytes` (big-endian) in base 62, padded to kBodyLength digits.
std::string Body(SecretBytes bytes) {
  std::string digits(kBodyLength, kAlphabet[0]);
  for (size_t i = kBodyLength; i-- > 0;) {
    uint32_t remainder = 0;
    for (uint8_t& byte : bytes) {
      const uint32_t value = remainder * 256 + byte;
      byte = static_cast<uint8_t>(value / 62);
      remainder = value % 62;
    }
    digits[i] = kAlphabet[remainder];
  }
  return digits;
}

std::string Checksum(std::string_view body) { return Sha256::Hex(body).substr(0, kChecksumLength); }

absl::Status Malformed(const std::string& why) {
  return WithReason(
      absl::UnauthenticatedError(absl::StrCat("the API key is malformed: ", why,
                                              "; copy it again, whole, as it was shown")),
      "KEY_MALFORMED");
}

}  // namespace

std::string FormatSecret(const SecretBytes& bytes) {
  const std::string body = Body(bytes);
  return std::string(kStart) + body + Checksum(body);
}

std::string NewSecret() {
  SecretBytes bytes;
  if (getentropy(bytes.data(), bytes.size()) != 0) std::abort();  // a kernel without random numbers
  return FormatSecret(bytes);
}

absl::StatusOr<std::string> HashSecret(std::string_view secret) {
  if (secret.substr(0, kStart.size()) != kStart) return Malformed("it does not begin with `floe-`");
  if (secret.size() != kSecretLength) {
    return Malformed(
        absl::StrCat("it has ", secret.size(), " characters in place of ", kSecretLength));
  }
  const size_t strange = secret.find_first_not_of(kAlphabet, kStart.size());
  if (strange != std::string_view::npos) {
    return Malformed(
        absl::StrCat("character ", strange + 1, " is neither a letter of ASCII nor a digit"));
  }
  const std::string_view body = secret.substr(kStart.size(), kBodyLength);
  if (secret.substr(kStart.size() + kBodyLength) != Checksum(body)) {
    return Malformed("its checksum does not fit, so a character is mistyped");
  }
  return Sha256::Hex(secret);
}

std::string SecretPrefix(std::string_view secret) {
  return std::string(secret.substr(0, kPrefixLength));
}

}  // namespace floe::gateway
