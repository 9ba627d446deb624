// IEEE 754 binary16 as bits, to and from 32-bit floats.
#pragma once

#include <cstdint>

namespace floe::model {

float HalfToFloat(uint16_t half);
// To the nearest, ties to even; beyond 65504 to infinity.
uint16_t FloatToHalf(float value);

}  // namespace floe::model
