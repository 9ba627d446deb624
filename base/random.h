// Bits that nobody can guess.
#pragma once

#include <cstdint>

namespace floe {

// 64 bits from the system's random source. Thread-safe.
uint64_t RandomBits();

}  // namespace floe
