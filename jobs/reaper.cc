#include "jobs/reaper.h"

#include <utility>

#include "base/status_macros.h"

namespace floe::jobs {

absl::StatusOr<Reaper::Found> Reaper::Tick() {
  const absl::Duration now = clock_.Monotonic();
  if (last_tick_ && now - *last_tick_ >= options_.lease) reachable_since_.reset();
  last_tick_ = now;
  auto open = queue_.CountOpen();
  if (!open.ok()) {
    reachable_since_.reset();
    return open.status();
  }
  Found found{{}, *std::move(open)};
  if (!reachable_since_) reachable_since_ = now;
  if (now - *reachable_since_ < options_.lease) return found;
  const absl::Time time = clock_.Now();
  auto expired = queue_.UpdateExpired(
      time, [&](Job job) { return Expire(std::move(job), time, options_.retry); });
  if (!expired.ok()) {
    reachable_since_.reset();
    return expired.status();
  }
  found.expired = *std::move(expired);
  return found;
}

}  // namespace floe::jobs
