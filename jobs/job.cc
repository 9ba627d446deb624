#include "jobs/job.h"

#include <array>
#include <utility>

namespace floe::jobs {
namespace {

constexpr std::array<std::pair<State, std::string_view>, 6> kNames = {{
    {State::kQueued, "QUEUED"},
    {State::kRunning, "RUNNING"},
    {State::kSucceeded, "SUCCEEDED"},
    {State::kFailed, "FAILED"},
    {State::kCancelled, "CANCELLED"},
    {State::kCancelling, "CANCELLING"},
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

}  // namespace floe::jobs
