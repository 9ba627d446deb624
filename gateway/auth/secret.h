// The secret of an API key: `floe-`, 43 characters of base 62 that carry 256 random bits, and the
// first 6 hexadecimal ones of their SHA-256. That checksum tells a mistyped key from one that was
// never given out, and any installer can make it. With 256 random bits a plain SHA-256 of the whole
// is all that needs storing: there is no dictionary to try.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::gateway {

inline constexpr size_t kSecretLength = 54;
inline constexpr size_t kPrefixLength = 11;  // `floe-` and 6 characters: to recognise a key by

using SecretBytes = std::array<uint8_t, 32>;

// The secret that carries `bytes`. Pure.
std::string FormatSecret(const SecretBytes& bytes);

// A new one, from the system's random source. Show it once and keep only its hash.
std::string NewSecret();

// The SHA-256, in hexadecimal, that a well-formed secret is stored and found by. UNAUTHENTICATED
// (KEY_MALFORMED) says what is wrong with the text (length, a character, the checksum) and never
// repeats it.
absl::StatusOr<std::string> HashSecret(std::string_view secret);

// The first characters of a well-formed secret.
std::string SecretPrefix(std::string_view secret);

}  // namespace floe::gateway
