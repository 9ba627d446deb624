// Bytes, named by their SHA-256.
#pragma once

#include <cstdint>
#include <string>

namespace floe::registry {

struct Blob {
  std::string digest;  // 64 lower-case hexadecimal characters
  int64_t size_bytes = 0;
  bool operator==(const Blob&) const = default;
};

}  // namespace floe::registry
