// What a worker's status means for a call that other workers could take. Pure.
#pragma once

#include <optional>

#include "absl/status/status.h"

namespace floe::gateway {

// What another worker would say as well, or what ended the request itself.
bool IsFinal(const absl::Status& status);

// The worker shuts down: it refuses what is new, and hands over what it could not finish.
bool Drains(const absl::Status& status);

// It has not begun the request, and signs for no work on it.
bool TookNothing(const absl::Status& status);

// It is full, shuts down or cannot be reached: later it may take what it does not take now.
bool MayTakeLater(const absl::Status& status);

// In how many seconds, at least 1, a worker that refuses would have room, where it says so.
std::optional<int> RetryAfterOf(const absl::Status& refusal);
// The sooner of `soonest` and what `refusal` says.
void KeepSoonest(const absl::Status& refusal, std::optional<int>& soonest);

// What the client is told when every worker was tried: `last` is what the last of them said, and
// `retry_after_seconds` when the first will have room.
absl::Status AllFailed(const absl::Status& last, const std::optional<int>& retry_after_seconds);

}  // namespace floe::gateway
