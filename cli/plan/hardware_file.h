// Hardware that no preset knows, described in a YAML file:
//
//   like: h100-80gb            # a preset to start from; without it every figure is needed
//   name: our-h100
//   device: H100               # a word of the names that past runs have for it
//   peak_tflops_f32: 66.9
//   peak_tflops_bf16: 989.4
//   memory_gb: 80              # 10^9 bytes
//   price_per_hour: 2.49       # dollars, of one device
//   utilization: 0.42          # share of the peak that training reaches
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

#include "model/hardware.h"

namespace floe::cli {

// INVALID_ARGUMENT names the line and what is wrong there, or the figure that cannot be.
absl::StatusOr<model::Hardware> ParseHardware(std::string_view text);

// "80GB" (10^9 bytes), "80GiB" (2^30), also MB, MiB, TB, TiB, or a number of bytes.
absl::StatusOr<int64_t> ParseMemory(std::string_view text);

// Whole tokens, parameters and the like: 7000000000, 7e9, 1.5e12, 7B, 20B, 1.5T, 350M, 32k.
absl::StatusOr<int64_t> ParseQuantity(std::string_view text);

// Dollars with up to six decimals, as microdollars.
absl::StatusOr<int64_t> ParseDollars(std::string_view text);

}  // namespace floe::cli
