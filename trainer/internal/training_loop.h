// The loop that every kind of training shares: steps, the learning rate, held-out measurements,
// saved states, reports, stopping and going on. What is learnt stands behind Objective.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/clock.h"
#include "trainer/batch_source.h"
#include "trainer/internal/data_parallel.h"
#include "trainer/internal/optimizer.h"
#include "trainer/internal/transformer.h"
#include "trainer/ports.h"
#include "trainer/spec/pretrain_spec.h"
#include "trainer/state_store.h"

namespace floe::trainer {

// What one step learnt from.
struct StepResult {
  double loss = 0;
  int64_t tokens = 0;
  std::map<std::string, double> metrics;  // further ones of this step, by their usual names
};

// A loss on text that is not trained on.
struct HeldOutResult {
  double loss = 0;
  std::map<std::string, double> metrics;
};

// What is learnt, and from which data. Borrowed and called by the one thread that trains; c10
// exceptions may leave it. Calls with data it has refused before fail again.
class Objective {
 public:
  virtual ~Objective() = default;

  // Adds the gradients of the next step to the transformer's parameters; takes the data on. With
  // several processes: those of this one's share, its part of the loss, and all the tokens.
  virtual absl::StatusOr<StepResult> AddGradients() = 0;
  // Where the data stands, and going back to there.
  virtual DataCursor cursor() const = 0;
  virtual absl::Status Seek(const DataCursor& cursor) = 0;
  // Nothing without held-out data.
  virtual std::optional<HeldOutResult> Evaluate() = 0;
  // Tells a few lines that the model writes, the same for the same weights; `when` is "before",
  // "step 200" or "after".
  virtual void Sample(TrainingObserver& observer, std::string_view when) = 0;
  // Operations that one token of StepResult costs.
  virtual double FlopsPerToken() const = 0;
  // The loss of a model that takes every answer for equally likely; 0 where that says nothing. A
  // loss of twice as much is no state of learning: the weights have exploded.
  virtual double LossOfGuessing() const { return 0; }
};

// One run. Borrows its parts, which outlive it. Not thread-safe. Of several processes rank 0
// speaks, measures and saves; all of them decide from the same numbers, and stop at the same step.
class TrainingLoop {
 public:
  struct Parts {
    Transformer& transformer;
    Objective& objective;
    StateStore& store;
    const Clock& clock;
    DataParallel& parallel;
  };
  struct Options {
    TrainSettings settings;
    std::string identity;    // states of a run that differs in it are not taken up
    std::string folder;      // of the states, for messages
    double gemm_gflops = 0;  // of the model's products alone; 0: not known
    int threads = 1;
  };

  TrainingLoop(const Parts& parts, Options options);

  // Takes up the newest saved state, if there is one, and trains to the end; errors as in
  // trainer/pretrainer.h.
  absl::StatusOr<TrainOutcome> Run(TrainingObserver& observer, std::stop_token stop);

 private:
  absl::Status Resume(TrainingObserver& observer);
  absl::Status TakeUp(const StateFile& saved);
  absl::Status TrainToEnd(TrainingObserver& observer, std::stop_token stop);
  // The newest state up to step `last`, the same in all processes.
  absl::StatusOr<std::optional<StateFile>> Load(TrainingObserver& observer, int64_t last);
  // False: training diverged, and stands at the last saved state again.
  absl::StatusOr<bool> OneStep(TrainingObserver& observer, const std::stop_token& stop);
  // Why the step that gave these is not to be taken; empty when it may be.
  std::string WhatDiverged(double loss, double norm) const;
  absl::Status GoBack(TrainingObserver& observer, std::string_view what, double rate);
  absl::Status Evaluate();
  bool StoppedEarly() const;
  // Whether the model is asked for a sample on the way, behind the step that was just done.
  bool SamplesNow(bool evaluated) const;
  int64_t BaseStep() const;
  absl::Status TakeBestWeights(TrainingObserver& observer);
  absl::Status Save(TrainingObserver& observer);
  void Report(TrainingObserver& observer, absl::Duration started, int64_t first_step);

  const Parts parts_;
  const Options options_;
  Optimizer optimizer_;             // over the parameters that this process owns
  bool stopping_ = false;           // one of the processes was asked to
  double others_memory_bytes_ = 0;  // the other processes' peaks, summed at the newest step
  TrainingPosition position_;
  std::map<std::string, double> step_metrics_;
  std::map<std::string, double> held_out_metrics_;
  bool evaluated_ = false;     // in this run
  int64_t held_out_step_ = 0;  // of the newest held-out loss; 0: measured by an earlier attempt
  // The most that the machine was seen to do: where it was busy when its products were measured,
  // steps outdo them. 0: not known.
  double gemm_peak_ = options_.gemm_gflops;
  // Since the last report.
  int64_t reported_step_ = 0;
  int64_t reported_tokens_ = 0;
  absl::Duration reported_at_;
  absl::Duration training_;  // time in steps since then
};

}  // namespace floe::trainer
