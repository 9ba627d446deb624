// What this machine can do at most, measured in the same run as the work that is compared with it.
#pragma once

#include <optional>

namespace floe::bench {

// Bytes a second that `threads` read together from memory too large for any cache.
double MemoryBandwidth(int threads);

// Floating-point operations a second of 32-bit matrix products, by the machine's OpenBLAS. Nothing
// where that library is not installed.
std::optional<double> GemmPeak(int threads);

}  // namespace floe::bench
