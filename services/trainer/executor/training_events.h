// Training's progress and lines as the job's events.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "services/runner/executor.h"
#include "trainer/ports.h"

namespace floe::runner {

// Borrows the reporter; as thread-safe as it is.
class EventsOfTraining final : public trainer::TrainingObserver {
 public:
  // `device`: what computes, for jobs::Progress.
  EventsOfTraining(Reporter& reporter, std::string device)
      : reporter_(reporter), device_(std::move(device)) {}

  void OnProgress(const trainer::TrainProgress& progress) override;
  void OnComputed(int64_t tokens, double flops) override { reporter_.Used(tokens, flops); }
  void OnLine(trainer::LineLevel level, std::string_view text) override;

 private:
  Reporter& reporter_;
  const std::string device_;
};

}  // namespace floe::runner
