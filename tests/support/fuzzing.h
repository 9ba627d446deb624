// What every fuzz target needs: its input as text, and a way to say what must hold.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace floe::test {

inline std::string_view AsText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace floe::test
