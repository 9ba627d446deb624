// What training needs from outside.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/time/time.h"

namespace floe::trainer {

// How far a run has come.
struct TrainProgress {
  int64_t step = 0;  // done
  int64_t steps = 0;
  double loss = 0;                      // of the last step, nats a token
  std::optional<double> held_out_loss;  // the newest one
  double tokens_per_second = 0;         // since the last report, evaluation left out
  double gflops = 0;                    // 10^9 floating-point operations a second in the same time
  double learning_rate = 0;
  absl::Duration remaining = absl::InfiniteDuration();
};

enum class LineLevel { kInfo, kWarning, kSample };

// Hears how training goes. Called from the thread that trains; must not block it for long.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void OnProgress(const TrainProgress& progress) = 0;
  virtual void OnLine(LineLevel level, std::string_view text) = 0;
};

}  // namespace floe::trainer
