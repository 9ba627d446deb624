#include "jobs/job.h"

#include <array>
#include <utility>

namespace floe::jobs {
namespace {

constexpr std::array<std::pair<State, std::string_view>, 8> kNames = {{
    {State::kQueued, "QUEUED"},
    {State::kRunning, "RUNNING"},
    {State::kSucceeded, "SUCCEEDED"},
    {State::kFailed, "FAILED"},
    {State::kCancelled, "CANCELLED"},
    {State::kCancelling, "CANCELLING"},
    {State::kPausing, "PAUSING"},
    {State::kPaused, "PAUSED"},
}};

constexpr std::array<std::pair<Outcome, std::string_view>, 5> kOutcomes = {{
    {Outcome::kSucceeded, "succeeded"},
    {Outcome::kFailedRetryable, "failed_retryable"},
    {Outcome::kFailedPermanent, "failed_permanent"},
    {Outcome::kCancelled, "cancelled"},
    {Outcome::kHandedBack, "handed_back"},
}};

}  // namespace

std::string_view StateName(State state) {
  for (const auto& [value, name] : kNames) {
    if (value == state) return name;
  }
  return "UNKNOWN";
}

std::optional<State> StateFromName(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  return std::nullopt;
}

std::string_view OutcomeName(Outcome outcome) {
  for (const auto& [value, name] : kOutcomes) {
    if (value == outcome) return name;
  }
  return "unknown";
}

std::optional<Outcome> OutcomeFromName(std::string_view name) {
  for (const auto& [value, known] : kOutcomes) {
    if (known == name) return value;
  }
  return std::nullopt;
}

}  // namespace floe::jobs
