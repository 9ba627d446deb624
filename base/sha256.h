// SHA-256 (FIPS 180-4), whole or in pieces. Digests travel as 64 lower-case hexadecimal characters.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace floe {

// Not thread-safe; one hasher a stream of bytes.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::string_view bytes);
  // The digest of all bytes so far; the hasher must not be used afterwards.
  std::string FinishHex();

  static std::string Hex(std::string_view bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// True for exactly 64 characters of [0-9a-f].
bool IsSha256Hex(std::string_view text);

}  // namespace floe
