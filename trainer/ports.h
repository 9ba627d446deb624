// What training and evaluation need from outside.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
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
  // Further ones by their usual names, such as rewards/margins; held_out_ stands before those on
  // held-out data.
  std::map<std::string, double> metrics;
};

// How a run ended.
struct TrainOutcome {
  int64_t steps = 0;
  int64_t tokens = 0;                     // trained on
  double loss = 0;                        // of the last step
  double held_out_loss = 0;               // 0 without held-out data
  double seconds = 0;                     // spent training, over all attempts
  std::map<std::string, double> metrics;  // further ones on held-out data: held_out_…
};

enum class LineLevel { kInfo, kWarning, kSample };

// Hears how training goes. Called from the thread that trains; must not block it for long.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void OnProgress(const TrainProgress& progress) = 0;
  virtual void OnLine(LineLevel level, std::string_view text) = 0;
  // A step was computed, also one that is thrown away: its tokens, those of all processes, and the
  // floating-point operations they took. Only who accounts for them listens.
  virtual void OnComputed(int64_t tokens, double flops) {}
};

// A text to be scored from one of its ids on.
struct ScoreQuery {
  std::span<const int32_t> ids;  // borrowed
  int64_t score_from = 1;        // at least 1, below ids.size()
};

// What a frozen model says to each id from score_from on.
struct ScoreAnswer {
  std::vector<double> log_probabilities;  // natural
  std::vector<bool> greedy;               // it was the likeliest
};

// A frozen model that scores texts. The same text has the same scores whatever is asked with it.
class Scorer {
 public:
  virtual ~Scorer() = default;
  // In the order of the queries; blocks until all are there.
  virtual absl::StatusOr<std::vector<ScoreAnswer>> Score(std::span<const ScoreQuery> queries) = 0;
};

}  // namespace floe::trainer
