// Training's progress and lines as the job's events.
#pragma once

#include <string_view>

#include "services/runner/executor.h"
#include "trainer/ports.h"

namespace floe::runner {

// Borrows the reporter; as thread-safe as it is.
class EventsOfTraining final : public trainer::TrainingObserver {
 public:
  explicit EventsOfTraining(Reporter& reporter) : reporter_(reporter) {}

  void OnProgress(const trainer::TrainProgress& progress) override;
  void OnLine(trainer::LineLevel level, std::string_view text) override;

 private:
  Reporter& reporter_;
};

}  // namespace floe::runner
