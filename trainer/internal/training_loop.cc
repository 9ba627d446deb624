#include "trainer/internal/training_loop.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "trainer/schedule.h"

namespace floe::trainer {
namespace {

constexpr absl::Duration kReportInterval = absl::Seconds(1);

std::span<float> ValuesOf(Parameter& parameter) {
  return {parameter.value.data_ptr<float>(), static_cast<size_t>(parameter.value.numel())};
}

}  // namespace

TrainingLoop::TrainingLoop(const Parts& parts, Options options)
    : parts_(parts),
      options_(std::move(options)),
      adamw_(parts.transformer.parameters(), options_.settings) {}

std::vector<StateTensor> TrainingLoop::Tensors() const {
  std::vector<StateTensor> tensors = adamw_.State();
  for (Parameter& parameter : parts_.transformer.parameters()) {
    tensors.push_back({"p/" + parameter.name(), ValuesOf(parameter)});
  }
  return tensors;
}

absl::Status TrainingLoop::Resume(TrainingObserver& observer) {
  FLOE_ASSIGN_OR_RETURN(const std::optional<StateFile> saved,
                        parts_.store.LoadNewest([&](const absl::Status& damage) {
                          observer.OnLine(LineLevel::kWarning, StdView(damage.message()));
                        }));
  position_ = {};
  position_.run = options_.identity;
  position_.threads = options_.threads;
  if (!saved) return absl::OkStatus();
  if (saved->position().run != position_.run) {
    return absl::FailedPreconditionError(
        absl::StrCat(options_.folder,
                     " holds states of another run (blueprint, settings or data "
                     "differ); delete it to train from the start"));
  }
  if (saved->position().threads != options_.threads) {
    observer.OnLine(LineLevel::kWarning,
                    absl::StrCat("the saved state was computed with ", saved->position().threads,
                                 " threads, now there are ", options_.threads,
                                 ": results may differ in the last bits"));
  }
  FLOE_RETURN_IF_ERROR(adamw_.Restore(*saved));
  for (Parameter& parameter : parts_.transformer.parameters()) {
    FLOE_RETURN_IF_ERROR(saved->Read("p/" + parameter.name(), ValuesOf(parameter)));
  }
  FLOE_RETURN_IF_ERROR(parts_.objective.Seek(saved->position().cursor));
  position_ = saved->position();
  position_.threads = options_.threads;
  observer.OnLine(LineLevel::kInfo, absl::StrCat("resumed at step ", position_.step));
  return absl::OkStatus();
}

absl::Status TrainingLoop::OneStep() {
  const double rate = LearningRate(options_.settings, position_.step);
  FLOE_ASSIGN_OR_RETURN(StepResult result, parts_.objective.AddGradients());
  const double norm = std::isfinite(result.loss) ? adamw_.GradNorm() : 0;
  if (!std::isfinite(result.loss) || !std::isfinite(norm)) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "training diverged: %s is no finite number at step %d (learning rate %g); lower "
        "learning_rate, raise warmup_steps or set grad_clip",
        std::isfinite(result.loss) ? "the gradient's norm" : "the loss", position_.step + 1, rate));
  }
  adamw_.Step(position_.step + 1, rate, norm);
  ++position_.step;
  position_.tokens += result.tokens;
  position_.last_loss = result.loss;
  position_.cursor = parts_.objective.cursor();
  step_metrics_ = std::move(result.metrics);
  return absl::OkStatus();
}

void TrainingLoop::Evaluate() {
  std::optional<HeldOutResult> result = parts_.objective.Evaluate();
  evaluated_ = true;
  if (!result) return;
  position_.held_out = result->loss;
  held_out_metrics_ = std::move(result->metrics);
}

void TrainingLoop::Save(TrainingObserver& observer) {
  const absl::Status saved = parts_.store.Save(position_, Tensors());
  if (saved.ok()) {
    observer.OnLine(LineLevel::kInfo, absl::StrCat("state saved at step ", position_.step));
    return;
  }
  observer.OnLine(LineLevel::kWarning,
                  absl::StrCat("no state saved at step ", position_.step, ": ", saved.message(),
                               "; training goes on, and the last saved state stays"));
}

void TrainingLoop::Report(TrainingObserver& observer, absl::Duration started, int64_t first_step) {
  const TrainSettings& settings = options_.settings;
  const absl::Duration now = parts_.clock.Monotonic();
  TrainProgress progress;
  progress.step = position_.step;
  progress.steps = settings.steps;
  progress.loss = position_.last_loss;
  if (position_.held_out > 0) progress.held_out_loss = position_.held_out;
  const double seconds = absl::ToDoubleSeconds(training_);
  if (seconds > 0) {
    progress.tokens_per_second = static_cast<double>(position_.tokens - reported_tokens_) / seconds;
  }
  progress.gflops = progress.tokens_per_second * parts_.objective.FlopsPerToken() * 1e-9;
  progress.learning_rate = LearningRate(settings, position_.step - 1);
  progress.remaining = (now - started) / (position_.step - first_step) *
                       static_cast<double>(settings.steps - position_.step);
  progress.metrics = step_metrics_;
  for (const auto& [name, value] : held_out_metrics_) progress.metrics["held_out_" + name] = value;
  observer.OnProgress(progress);
  reported_step_ = position_.step;
  reported_tokens_ = position_.tokens;
  reported_at_ = now;
  training_ = absl::ZeroDuration();
}

absl::Status TrainingLoop::TrainToEnd(TrainingObserver& observer, std::stop_token stop) {
  const TrainSettings& settings = options_.settings;
  if (position_.step == 0) parts_.objective.Sample(observer, "before");
  const absl::Duration started = parts_.clock.Monotonic();
  const int64_t first_step = position_.step;
  reported_step_ = first_step;
  reported_tokens_ = position_.tokens;
  reported_at_ = started;
  training_ = absl::ZeroDuration();
  while (position_.step < settings.steps) {
    if (stop.stop_requested()) {
      if (position_.step > first_step) Save(observer);
      return absl::CancelledError(absl::StrCat("stopped at step ", position_.step));
    }
    const absl::Duration before = parts_.clock.Monotonic();
    FLOE_RETURN_IF_ERROR(OneStep());
    const absl::Duration took = parts_.clock.Monotonic() - before;
    training_ += took;
    position_.seconds += absl::ToDoubleSeconds(took);
    const bool last = position_.step == settings.steps;
    const bool evaluate = last || position_.step % settings.eval_interval == 0;
    if (evaluate) Evaluate();
    if (evaluate || position_.step == first_step + 1 ||
        parts_.clock.Monotonic() - reported_at_ >= kReportInterval) {
      Report(observer, started, first_step);
    }
    if (last || position_.step % settings.checkpoint_interval == 0) Save(observer);
  }
  if (!evaluated_) Evaluate();  // an attempt that had only the end left
  parts_.objective.Sample(observer, "after");
  return absl::OkStatus();
}

absl::StatusOr<TrainOutcome> TrainingLoop::Run(TrainingObserver& observer, std::stop_token stop) {
  FLOE_RETURN_IF_ERROR(Resume(observer));
  FLOE_RETURN_IF_ERROR(TrainToEnd(observer, stop));
  TrainOutcome outcome;
  outcome.steps = position_.step;
  outcome.tokens = position_.tokens;
  outcome.loss = position_.last_loss;
  outcome.held_out_loss = position_.held_out;
  outcome.seconds = position_.seconds;
  for (const auto& [name, value] : held_out_metrics_) outcome.metrics["held_out_" + name] = value;
  return outcome;
}

}  // namespace floe::trainer
