#include "services/trainer/executor/training_events.h"

#include <utility>

namespace floe::runner {

void EventsOfTraining::OnProgress(const trainer::TrainProgress& progress) {
  jobs::Progress told;
  told.step = progress.step;
  told.steps = progress.steps;
  told.remaining = progress.remaining;
  told.metrics = {{"loss", progress.loss},
                  {"tokens_per_second", progress.tokens_per_second},
                  {"gflops", progress.gflops},
                  {"learning_rate", progress.learning_rate}};
  if (progress.held_out_loss) told.metrics["held_out_loss"] = *progress.held_out_loss;
  told.metrics.insert(progress.metrics.begin(), progress.metrics.end());
  told.device = device_;
  reporter_.Progress(std::move(told));
}

void EventsOfTraining::OnLine(trainer::LineLevel level, std::string_view text) {
  switch (level) {
    case trainer::LineLevel::kInfo:
      return reporter_.Log("info", text);
    case trainer::LineLevel::kWarning:
      return reporter_.Log("warning", text);
    case trainer::LineLevel::kSample:
      return reporter_.Log("sample", text);
  }
}

}  // namespace floe::runner
