#include "trainer/internal/training_loop.h"

#include <sys/resource.h>

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "trainer/schedule.h"

namespace floe::trainer {
namespace {

// What the processes without a voice report to.
class Silence final : public TrainingObserver {
 public:
  void OnProgress(const TrainProgress&) override {}
  void OnLine(LineLevel, std::string_view) override {}
};

constexpr absl::Duration kReportInterval = absl::Seconds(1);

// The most that this process held at once.
double PeakMemoryBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

std::span<float> ValuesOf(Parameter& parameter) {
  return {parameter.value.data_ptr<float>(), static_cast<size_t>(parameter.value.numel())};
}

}  // namespace

TrainingLoop::TrainingLoop(const Parts& parts, Options options)
    : parts_(parts),
      options_(std::move(options)),
      optimizer_(parts.parallel.owned(), options_.settings) {}

// Rank 0 chooses the state, and all take that one.
absl::StatusOr<std::optional<StateFile>> TrainingLoop::Load(TrainingObserver& observer) {
  std::optional<StateFile> saved;
  if (parts_.parallel.rank() == 0) {
    FLOE_ASSIGN_OR_RETURN(saved, parts_.store.LoadNewest([&](const absl::Status& damage) {
      observer.OnLine(LineLevel::kWarning, StdView(damage.message()));
    }));
  }
  double step[] = {saved ? static_cast<double>(saved->position().step) : -1};
  FLOE_RETURN_IF_ERROR(parts_.parallel.Broadcast(step));
  if (parts_.parallel.rank() != 0 && step[0] >= 0) {
    FLOE_ASSIGN_OR_RETURN(saved,
                          StateFile::Open(parts_.store.PathOf(static_cast<int64_t>(step[0]))));
  }
  return saved;
}

absl::Status TrainingLoop::Resume(TrainingObserver& observer) {
  FLOE_ASSIGN_OR_RETURN(const std::optional<StateFile> saved, Load(observer));
  position_ = {};
  position_.run = options_.identity;
  position_.threads = options_.threads;
  position_.processes = parts_.parallel.size();
  if (!saved) return parts_.parallel.ShareWeights();  // machines may differ in the last bits
  if (saved->position().run != position_.run) {
    return absl::FailedPreconditionError(
        absl::StrCat(options_.folder,
                     " holds states of another run (blueprint, settings or data "
                     "differ); delete it to train from the start"));
  }
  if (saved->position().threads != position_.threads ||
      saved->position().processes != position_.processes) {
    observer.OnLine(LineLevel::kWarning,
                    absl::StrCat("the saved state was computed by ", saved->position().processes,
                                 " processes of ", saved->position().threads,
                                 " threads, now there are ", position_.processes, " of ",
                                 position_.threads, ": results may differ in the last bits"));
  }
  FLOE_RETURN_IF_ERROR(optimizer_.Restore(*saved));
  for (Parameter& parameter : parts_.transformer.parameters()) {
    FLOE_RETURN_IF_ERROR(saved->Read("p/" + parameter.name(), ValuesOf(parameter)));
  }
  FLOE_RETURN_IF_ERROR(parts_.objective.Seek(saved->position().cursor));
  position_ = saved->position();
  position_.threads = options_.threads;
  position_.processes = parts_.parallel.size();
  observer.OnLine(LineLevel::kInfo, absl::StrCat("resumed at step ", position_.step));
  return absl::OkStatus();
}

absl::Status TrainingLoop::OneStep(const std::stop_token& stop) {
  const double rate = LearningRate(options_.settings, position_.step);
  FLOE_ASSIGN_OR_RETURN(StepResult result, parts_.objective.AddGradients());
  FLOE_RETURN_IF_ERROR(parts_.parallel.FinishBackward());
  double shared[] = {result.loss, stop.stop_requested() ? 1.0 : 0.0};
  FLOE_RETURN_IF_ERROR(parts_.parallel.Sum(shared));
  result.loss = shared[0];
  stopping_ = shared[1] > 0;
  const double norm = std::isfinite(result.loss) ? GradNorm(parts_.transformer.parameters()) : 0;
  if (!std::isfinite(result.loss) || !std::isfinite(norm)) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "training diverged: %s is no finite number at step %d (learning rate %g); lower "
        "learning_rate, raise warmup_steps or set grad_clip",
        std::isfinite(result.loss) ? "the gradient's norm" : "the loss", position_.step + 1, rate));
  }
  optimizer_.Step(position_.step + 1, rate, norm);
  FLOE_RETURN_IF_ERROR(parts_.parallel.ShareWeights());
  ++position_.step;
  position_.tokens += result.tokens;
  position_.last_loss = result.loss;
  position_.cursor = parts_.objective.cursor();
  step_metrics_ = std::move(result.metrics);
  step_metrics_["grad_norm"] = norm;  // before clipping
  return absl::OkStatus();
}

absl::Status TrainingLoop::Evaluate() {
  std::optional<HeldOutResult> result;
  if (parts_.parallel.rank() == 0) result = parts_.objective.Evaluate();
  evaluated_ = true;
  double loss[] = {result ? result->loss : position_.held_out};
  FLOE_RETURN_IF_ERROR(parts_.parallel.Broadcast(loss));
  position_.held_out = loss[0];
  if (loss[0] > 0) held_out_step_ = position_.step;
  if (result) held_out_metrics_ = std::move(result->metrics);
  return absl::OkStatus();
}

absl::Status TrainingLoop::Save(TrainingObserver& observer) {
  std::vector<StateTensor> tensors = optimizer_.State();
  std::vector<std::vector<float>> received;
  FLOE_RETURN_IF_ERROR(parts_.parallel.GatherToRankZero(tensors, received));
  if (parts_.parallel.rank() != 0) return absl::OkStatus();
  for (Parameter& parameter : parts_.transformer.parameters()) {
    tensors.push_back({"p/" + parameter.name(), ValuesOf(parameter)});
  }
  const absl::Status saved = parts_.store.Save(position_, tensors);
  if (saved.ok()) {
    observer.OnLine(LineLevel::kInfo, absl::StrCat("state saved at step ", position_.step));
    return absl::OkStatus();
  }
  observer.OnLine(LineLevel::kWarning,
                  absl::StrCat("no state saved at step ", position_.step, ": ", saved.message(),
                               "; training goes on, and the last saved state stays"));
  return absl::OkStatus();
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
  progress.metrics["tokens"] = static_cast<double>(position_.tokens);
  progress.metrics["peak_memory_bytes"] = PeakMemoryBytes();
  if (held_out_step_ > 0) progress.metrics["held_out_step"] = static_cast<double>(held_out_step_);
  for (const auto& [name, value] : held_out_metrics_) progress.metrics["held_out_" + name] = value;
  observer.OnProgress(progress);
  reported_step_ = position_.step;
  reported_tokens_ = position_.tokens;
  reported_at_ = now;
  training_ = absl::ZeroDuration();
}

absl::Status TrainingLoop::TrainToEnd(TrainingObserver& observer, std::stop_token stop) {
  const TrainSettings& settings = options_.settings;
  const bool speaks = parts_.parallel.rank() == 0;
  if (position_.step == 0 && speaks) parts_.objective.Sample(observer, "before");
  const absl::Duration started = parts_.clock.Monotonic();
  const int64_t first_step = position_.step;
  reported_step_ = first_step;
  reported_tokens_ = position_.tokens;
  reported_at_ = started;
  training_ = absl::ZeroDuration();
  while (position_.step < settings.steps) {
    // Alone a process stops at once; several agree in a step.
    if (parts_.parallel.size() == 1 ? stop.stop_requested() : stopping_) {
      if (position_.step > first_step) FLOE_RETURN_IF_ERROR(Save(observer));
      return absl::CancelledError(absl::StrCat("stopped at step ", position_.step));
    }
    const absl::Duration before = parts_.clock.Monotonic();
    FLOE_RETURN_IF_ERROR(OneStep(stop));
    const absl::Duration took = parts_.clock.Monotonic() - before;
    training_ += took;
    position_.seconds += absl::ToDoubleSeconds(took);
    const bool last = position_.step == settings.steps;
    const bool evaluate = last || position_.step % settings.eval_interval == 0;
    if (evaluate) FLOE_RETURN_IF_ERROR(Evaluate());
    if (evaluate || position_.step == first_step + 1 ||
        parts_.clock.Monotonic() - reported_at_ >= kReportInterval) {
      Report(observer, started, first_step);
    }
    if (last || position_.step % settings.checkpoint_interval == 0) {
      FLOE_RETURN_IF_ERROR(Save(observer));
    }
  }
  if (!evaluated_) FLOE_RETURN_IF_ERROR(Evaluate());  // an attempt that had only the end left
  if (speaks) parts_.objective.Sample(observer, "after");
  return absl::OkStatus();
}

absl::StatusOr<TrainOutcome> TrainingLoop::Run(TrainingObserver& given, std::stop_token stop) {
  Silence silence;
  TrainingObserver& observer = parts_.parallel.rank() == 0 ? given : silence;
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
