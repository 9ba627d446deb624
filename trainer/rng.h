// Random numbers that a training run can save and take up again: xoshiro256** (Blackman and Vigna,
// arXiv:1805.01407), seeded by SplitMix64. The same everywhere, unlike <random>'s distributions.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

namespace floe::trainer {

// A value; not thread-safe.
class Rng {
 public:
  using State = std::array<uint64_t, 4>;

  explicit Rng(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9E3779B97F4A7C15u;
      uint64_t mixed = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9u;
      mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
      word = mixed ^ (mixed >> 31);
    }
  }
  explicit Rng(const State& state) : state_(state) {}

  const State& state() const { return state_; }

  uint64_t Next() {
    const uint64_t result = Rotate(state_[1] * 5, 7) * 9, shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  // In [0, 1), 53 random bits.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

  // In [0, bound); bound above 0. Without bias: values that would favour some are drawn again.
  uint64_t Below(uint64_t bound) {
    const uint64_t favoured = (0 - bound) % bound;
    uint64_t value = Next();
    while (value < favoured) value = Next();
    return value % bound;
  }

  // Mean 0, deviation 1 (Box and Muller).
  double Normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * Uniform());
  }

  // A seed for a named part of a run, so that parts do not disturb one another (FNV-1a).
  static uint64_t SeedFor(uint64_t seed, std::string_view part) {
    uint64_t hash = 0xCBF29CE484222325u ^ seed;
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    return hash;
  }

 private:
  static uint64_t Rotate(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

  State state_;
};

}  // namespace floe::trainer
