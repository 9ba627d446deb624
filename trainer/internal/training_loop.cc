#include "trainer/internal/training_loop.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "trainer/internal/state_tensors.h"
#include "trainer/schedule.h"

namespace floe::trainer {
namespace {

// What the processes without a voice report to.
class Silence final : public TrainingObserver {
 public:
  void OnProgress(const TrainProgress&) override {}
  void OnLine(LineLevel, std::string_view) override {}
};

// A spike is judged by the mean of the losses before it, in which a step counts so much; the first
// steps fall too steeply to be judged.
constexpr double kMeanShare = 0.05;
constexpr int64_t kStepsBeforeSpikes = 20;
constexpr double kExplodedLoss = 2;  // times the loss of guessing
constexpr absl::Duration kReportInterval = absl::Seconds(1);

// The most that this process held at once; 0 where the system does not tell. getrusage would count
// what the process that started this one held.
double PeakMemoryBytes() {
  std::ifstream status("/proc/self/status");
  double kibibytes = 0;
  for (std::string word; status >> word && word != "VmHWM:";) {
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  status >> kibibytes;
  return kibibytes * 1024;
}

}  // namespace

TrainingLoop::TrainingLoop(const Parts& parts, Options options)
    : parts_(parts),
      options_(std::move(options)),
      optimizer_(parts.parallel.owned(), options_.settings) {}

// Rank 0 chooses the state, and all take that one.
absl::StatusOr<std::optional<StateFile>> TrainingLoop::Load(TrainingObserver& observer,
                                                            int64_t last) {
  std::optional<StateFile> saved;
  if (parts_.parallel.rank() == 0) {
    const auto on_damage = [&](const absl::Status& damage) {
      observer.OnLine(LineLevel::kWarning, StdView(damage.message()));
    };
    FLOE_ASSIGN_OR_RETURN(saved, parts_.store.LoadNewest(on_damage, last));
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
  FLOE_ASSIGN_OR_RETURN(const std::optional<StateFile> saved,
                        Load(observer, std::numeric_limits<int64_t>::max()));
  position_ = {};
  position_.run = options_.identity;
  position_.threads = options_.threads;
  position_.processes = parts_.parallel.size();
  position_.cursor = parts_.objective.cursor();
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
  FLOE_RETURN_IF_ERROR(TakeUp(*saved));
  FLOE_RETURN_IF_ERROR(parts_.objective.Seek(position_.cursor));
  observer.OnLine(LineLevel::kInfo, absl::StrCat("resumed at step ", position_.step));
  return absl::OkStatus();
}

// Weights, moments and position; not the data.
absl::Status TrainingLoop::TakeUp(const StateFile& saved) {
  FLOE_RETURN_IF_ERROR(optimizer_.Restore(saved));
  for (Parameter& parameter : parts_.transformer.parameters()) {
    FLOE_RETURN_IF_ERROR(ReadInto(saved, "p/" + parameter.name(), parameter.value));
  }
  position_ = saved.position();
  position_.threads = options_.threads;
  position_.processes = parts_.parallel.size();
  return absl::OkStatus();
}

// A state that an interruption left between two intervals is none to go back to: the run would not
// be the one that was never interrupted.
int64_t TrainingLoop::BaseStep() const {
  const int64_t interval = options_.settings.checkpoint_interval;
  return position_.step / interval * interval;
}

std::string TrainingLoop::WhatDiverged(double loss, double norm) const {
  if (!std::isfinite(loss)) return "the loss is no finite number";
  if (!std::isfinite(norm)) return "the gradient's norm is no finite number";
  const double guessing = parts_.objective.LossOfGuessing();
  if (guessing > 0 && loss > kExplodedLoss * guessing) {
    return absl::StrFormat(
        "the loss %.4f is more than %g times the %.4f of guessing without any knowledge", loss,
        kExplodedLoss, guessing);
  }
  const double factor = options_.settings.spike_factor;
  if (factor > 0 && position_.step >= kStepsBeforeSpikes && loss > factor * position_.mean_loss) {
    return absl::StrFormat("the loss %.4f is more than %g times the recent mean %.4f", loss, factor,
                           position_.mean_loss);
  }
  return "";
}

// To the last state of checkpoint_interval, and past the data that led astray: all of it since that
// state, up to and with the step that diverged (as PaLM did, arXiv:2204.02311, section 5.1). Saved
// at once, so that an attempt which is killed now goes on past it too. Where that state could not
// be written, the newest before it has to do, or else any.
absl::Status TrainingLoop::GoBack(TrainingObserver& observer, std::string_view what, double rate) {
  const int64_t diverged = position_.step + 1;
  if (position_.rewinds >= options_.settings.max_rewinds) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "training diverged: %s at step %d (learning rate %g)%s; lower learning_rate, raise "
        "warmup_steps, set grad_clip, or let it go back with max_rewinds",
        AbslView(what), diverged, rate,
        position_.rewinds > 0 ? absl::StrCat(", after ", position_.rewinds, " rewinds") : ""));
  }
  const DataCursor behind = parts_.objective.cursor();
  const int64_t rewinds = position_.rewinds + 1;
  const double seconds = position_.seconds;
  for (Parameter& parameter : parts_.transformer.parameters()) {
    parameter.value.mutable_grad().reset();
  }
  const int64_t base = BaseStep();
  FLOE_ASSIGN_OR_RETURN(std::optional<StateFile> saved, Load(observer, base));
  if (!saved) {
    FLOE_ASSIGN_OR_RETURN(saved, Load(observer, position_.step));
  }
  if (!saved) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "training diverged: %s at step %d, and there is no saved state to go back to (disk full?); "
        "make room in %s and start it again",
        AbslView(what), diverged, options_.folder));
  }
  FLOE_RETURN_IF_ERROR(TakeUp(*saved));
  position_.cursor = behind;
  position_.rewinds = rewinds;
  position_.seconds = seconds;
  observer.OnLine(
      LineLevel::kWarning,
      absl::StrFormat(
          "%s at step %d: back to the state of step %d%s (rewind %d of %d); "
          "the data of the %d steps since is skipped",
          AbslView(what), diverged, position_.step,
          position_.step == base ? "" : absl::StrCat(", as that of step ", base, " is not there"),
          rewinds, options_.settings.max_rewinds, diverged - position_.step));
  return Save(observer);
}

absl::StatusOr<bool> TrainingLoop::OneStep(TrainingObserver& observer,
                                           const std::stop_token& stop) {
  const double rate = LearningRate(options_.settings, position_.step);
  FLOE_ASSIGN_OR_RETURN(StepResult result, parts_.objective.AddGradients());
  FLOE_RETURN_IF_ERROR(parts_.parallel.FinishBackward());
  const double own_memory = PeakMemoryBytes();
  double shared[] = {result.loss, stop.stop_requested() ? 1.0 : 0.0, own_memory};
  FLOE_RETURN_IF_ERROR(parts_.parallel.Sum(shared));
  result.loss = shared[0];
  others_memory_bytes_ = shared[2] - own_memory;
  observer.OnComputed(result.tokens,
                      static_cast<double>(result.tokens) * parts_.objective.FlopsPerToken());
  stopping_ = shared[1] > 0;
  const double norm = std::isfinite(result.loss) ? GradNorm(parts_.transformer.parameters()) : 0;
  const std::string what = WhatDiverged(result.loss, norm);
  if (!what.empty()) {
    FLOE_RETURN_IF_ERROR(GoBack(observer, what, rate));
    return false;
  }
  optimizer_.Step(position_.step + 1, rate, norm);
  FLOE_RETURN_IF_ERROR(parts_.parallel.ShareWeights());
  ++position_.step;
  position_.tokens += result.tokens;
  position_.last_loss = result.loss;
  position_.mean_loss = position_.step == 1
                            ? result.loss
                            : (1 - kMeanShare) * position_.mean_loss + kMeanShare * result.loss;
  position_.cursor = parts_.objective.cursor();
  step_metrics_ = std::move(result.metrics);
  step_metrics_["grad_norm"] = norm;  // before clipping
  if (position_.rewinds > 0) step_metrics_["rewinds"] = static_cast<double>(position_.rewinds);
  return true;
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
  if (!(std::isnan(loss[0]) || loss[0] > 0)) return absl::OkStatus();  // nothing is held out
  if (loss[0] < position_.best_held_out || position_.best_step == 0) {
    position_.best_held_out = loss[0];
    position_.best_step = position_.step;
    position_.worse_in_a_row = 0;
  } else {
    ++position_.worse_in_a_row;
  }
  return absl::OkStatus();
}

bool TrainingLoop::StoppedEarly() const {
  const int64_t patience = options_.settings.early_stopping;
  return patience > 0 && position_.worse_in_a_row >= patience;
}

bool TrainingLoop::SamplesNow(bool evaluated) const {
  const TrainSettings& settings = options_.settings;
  if (parts_.parallel.rank() != 0) return false;
  if (position_.step == settings.steps || StoppedEarly()) return false;  // "after" comes now
  if (!settings.sample_interval) return evaluated;
  return *settings.sample_interval > 0 && position_.step % *settings.sample_interval == 0;
}

// With early stopping the best weights are the result, not the last.
absl::Status TrainingLoop::TakeBestWeights(TrainingObserver& observer) {
  const int64_t best = position_.best_step;
  if (options_.settings.early_stopping == 0 || best == 0 || best == position_.step) {
    return absl::OkStatus();
  }
  const auto saved = StateFile::Open(parts_.store.PathOf(best));
  if (!saved.ok()) {  // it could not be written, as was told then
    observer.OnLine(LineLevel::kWarning, absl::StrCat("the best weights, of step ", best,
                                                      ", are not there: ", saved.status().message(),
                                                      "; the last ones are taken"));
    return absl::OkStatus();
  }
  for (Parameter& parameter : parts_.transformer.parameters()) {
    FLOE_RETURN_IF_ERROR(ReadInto(*saved, "p/" + parameter.name(), parameter.value));
  }
  observer.OnLine(
      LineLevel::kInfo,
      absl::StrFormat("%s at step %d; the weights are those of step %d, whose held-out loss %.4f "
                      "is the best",
                      StoppedEarly() ? absl::StrCat("stopped early: ", position_.worse_in_a_row,
                                                    " held-out losses in a row were no better")
                                     : "ended",
                      position_.step, best, position_.best_held_out));
  return Evaluate();
}

absl::Status TrainingLoop::Save(TrainingObserver& observer) {
  std::vector<StateTensor> tensors = optimizer_.State();
  std::vector<std::vector<float>> received;
  FLOE_RETURN_IF_ERROR(parts_.parallel.GatherToRankZero(tensors, received));
  if (parts_.parallel.rank() != 0) return absl::OkStatus();
  for (Parameter& parameter : parts_.transformer.parameters()) {
    tensors.push_back(Saved("p/" + parameter.name(), parameter.value));
  }
  const TrainSettings& settings = options_.settings;
  const bool keep_best = settings.keep_best || settings.early_stopping > 0;
  const absl::Status saved =
      parts_.store.Save(position_, tensors,
                        {.last = settings.keep_last,
                         .every = settings.keep_every,
                         .best = keep_best ? position_.best_step : -1,
                         .base = settings.max_rewinds > 0 ? BaseStep() : -1});
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
  progress.remaining = (now - started) / std::max<int64_t>(1, position_.step - first_step) *
                       static_cast<double>(settings.steps - position_.step);
  progress.metrics = step_metrics_;
  progress.metrics["tokens"] = static_cast<double>(position_.tokens);
  if (gemm_peak_ > 0) {
    gemm_peak_ = std::max(gemm_peak_, progress.gflops);
    progress.metrics["gemm_peak_share"] = progress.gflops / gemm_peak_;
  }
  progress.metrics["peak_memory_bytes"] = PeakMemoryBytes() + others_memory_bytes_;
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
  // Where there is nothing to go back to yet.
  if (position_.step == 0 && settings.max_rewinds > 0) FLOE_RETURN_IF_ERROR(Save(observer));
  const bool keep_best = settings.keep_best || settings.early_stopping > 0;
  while (position_.step < settings.steps && !StoppedEarly()) {
    // Alone a process stops at once; several agree in a step.
    if (parts_.parallel.size() == 1 ? stop.stop_requested() : stopping_) {
      if (position_.step > first_step) FLOE_RETURN_IF_ERROR(Save(observer));
      return absl::CancelledError(absl::StrCat("stopped at step ", position_.step));
    }
    const absl::Duration before = parts_.clock.Monotonic();
    FLOE_ASSIGN_OR_RETURN(const bool stepped, OneStep(observer, stop));
    const absl::Duration took = parts_.clock.Monotonic() - before;
    training_ += took;
    position_.seconds += absl::ToDoubleSeconds(took);
    if (!stepped) {
      reported_tokens_ = position_.tokens;
      training_ = absl::ZeroDuration();
      continue;
    }
    const bool end = position_.step == settings.steps;
    const bool evaluate = end || position_.step % settings.eval_interval == 0;
    if (evaluate) FLOE_RETURN_IF_ERROR(Evaluate());
    const bool best = evaluate && keep_best && position_.best_step == position_.step;
    if (evaluate || position_.step == first_step + 1 ||
        parts_.clock.Monotonic() - reported_at_ >= kReportInterval) {
      Report(observer, started, first_step);
    }
    if (end || best || StoppedEarly() || position_.step % settings.checkpoint_interval == 0) {
      FLOE_RETURN_IF_ERROR(Save(observer));
    }
    if (SamplesNow(evaluate)) {
      parts_.objective.Sample(observer, absl::StrCat("step ", position_.step));
    }
  }
  if (!evaluated_) FLOE_RETURN_IF_ERROR(Evaluate());  // an attempt that had only the end left
  FLOE_RETURN_IF_ERROR(TakeBestWeights(observer));
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
