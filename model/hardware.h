// Devices that a model may train on or serve from: what a plan knows of them. Values; the presets
// are makers' data sheets (dense products, no sparsity) beside a price that stands for an on-demand
// offer: offers differ and move, so a plan says which it took and lets it be replaced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "model/training_memory.h"

namespace floe::model {

struct Hardware {
  std::string name;
  std::string description;
  double peak_f32 = 0;                      // FLOP/s of 32-bit matrix products
  double peak_bf16 = 0;                     // FLOP/s of bf16 matrix products summed in 32 bits
  int64_t memory_bytes = 0;                 // as its maker counts it: 10^9 bytes a GB
  int64_t price_microdollars_per_hour = 0;  // of one device
  // A word of the names that runners give their devices (jobs: `cpu: …`): runs on those are like
  // runs on this. Empty: none is.
  std::string device;
  double utilization = 0.4;  // share of the peak that training is assumed to reach

  double Peak(TrainingPrecision precision) const {
    return precision == TrainingPrecision::kF32 ? peak_f32 : peak_bf16;
  }
  // bf16 where it is faster than 32 bits.
  TrainingPrecision BestPrecision() const {
    return peak_bf16 > peak_f32 ? TrainingPrecision::kBf16Mixed : TrainingPrecision::kF32;
  }
  // Whether a device by this name is one of these: `device` stands in it as a word of its own,
  // whatever the case.
  bool Is(std::string_view device_name) const;
  // INVALID_ARGUMENT names every figure that cannot be.
  absl::Status Validate() const;
};

std::vector<std::string_view> HardwareNames();

// NOT_FOUND lists the names that there are.
absl::StatusOr<Hardware> HardwarePreset(std::string_view name);

}  // namespace floe::model
