// A piece of long-running work of any kind, and what happens to it: values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/time/time.h"

namespace floe::jobs {

enum class State {
  kQueued,
  kRunning,
  kSucceeded,
  kFailed,
  kCancelled,
  kCancelling,
  kPausing,
  kPaused
};

// `QUEUED` and so on: how states are stored and shown.
std::string_view StateName(State state);
std::optional<State> StateFromName(std::string_view name);

// Nothing can happen to the job any more.
inline bool IsEnded(State state) {
  return state == State::kSucceeded || state == State::kFailed || state == State::kCancelled;
}
// A runner holds the job's lease.
inline bool IsLeased(State state) {
  return state == State::kRunning || state == State::kCancelling || state == State::kPausing;
}

// How an attempt ends, in the words of its runner.
enum class Outcome { kSucceeded, kFailedRetryable, kFailedPermanent, kCancelled, kHandedBack };

// `failed_retryable` and so on: how outcomes are stored and shown.
std::string_view OutcomeName(Outcome outcome);
std::optional<Outcome> OutcomeFromName(std::string_view name);

// How far a job has come.
struct Progress {
  int64_t step = 0;
  int64_t steps = 0;                      // in all; 0: not known
  std::map<std::string, double> metrics;  // loss, tokens_per_second, ...; may be NaN or infinite
  absl::Duration remaining = absl::InfiniteDuration();  // to the end; infinite: not known
  std::string device;  // what one process computes with: `cpu: …, 2 threads`; empty: not told

  bool operator==(const Progress&) const = default;
};

// A line for people. UTF-8.
struct LogLine {
  std::string level = "info";  // info, warning, error, sample
  std::string text;

  bool operator==(const LogLine&) const = default;
};

// Something that happened to a job.
struct Event {
  int64_t sequence = 0;  // 1, 2, 3, ... a job, without gaps
  absl::Time time;
  int attempt = 0;  // 0: before the first
  std::variant<Progress, LogLine, State> what;

  bool operator==(const Event&) const = default;
};

// What was measured at one step: a row of a job's curves.
struct StepMetrics {
  int64_t step = 0;
  absl::Time time;
  int attempt = 0;  // that did the step last
  std::map<std::string, double> metrics;

  bool operator==(const StepMetrics&) const = default;
};

// What an attempt used.
struct Usage {
  int64_t tokens = 0;        // that training went over, steps done again and thrown away included
  int64_t gigaflop = 0;      // 10^9 floating-point operations, by the model's formula
  absl::Duration core_time;  // threads that it held × time; a microsecond is its unit

  bool operator==(const Usage&) const = default;
};

// What is remembered of an attempt after the next has begun.
struct Attempt {
  int number = 0;
  std::string runner;
  std::optional<absl::Time> start_time;
  std::optional<absl::Time> end_time;
  std::optional<Outcome> outcome;  // a lease that ran out is a retryable failure
  std::string reason;              // why it did not succeed
  Usage used;                      // so far, as its runner last told

  bool operator==(const Attempt&) const = default;
};

// The priorities that a person may give a job.
inline constexpr int kLeastPriority = -100;
inline constexpr int kMostPriority = 100;

struct Job {
  std::string id;    // `<service>-<ulid>`
  std::string team;  // its id: `nlp`
  std::string kind;
  std::string spec;  // canonical JSON
  State state = State::kQueued;
  int attempt = 0;  // how often it was started; the number of the newest attempt, and its fence
  int max_attempts = 1;
  int priority = 0;          // higher ones are taken first, older ones among equals
  int64_t memory_bytes = 0;  // about what it takes of a runner's; 0: not known
  int handed_back = 0;       // attempts that a runner gave back and that do not count
  std::string error;
  std::string result;
  std::optional<Progress> progress;  // the newest
  std::string creator;               // id of the key
  std::string request_id;
  absl::Time create_time;
  std::optional<absl::Time> start_time;  // of the first attempt
  std::optional<absl::Time> end_time;
  absl::Time due_time;                     // no attempt starts before
  std::string runner;                      // of the lease; empty without one
  std::optional<absl::Time> lease_expire;  // while leased
  int finished_attempt = 0;       // the newest attempt that its own runner ended; 0: none so far
  int64_t last_sequence = 0;      // of the newest event
  int64_t queue_position = 0;     // while queued, as read: 1 is taken next; otherwise 0
  int64_t reported_sequence = 0;  // the newest event of this attempt, in its runner's numbering

  std::string name() const { return "teams/" + team + "/jobs/" + id; }
};

}  // namespace floe::jobs
