#include "gateway/routing/patience.h"

#include <algorithm>

namespace floe::gateway {
namespace {

constexpr absl::Duration kLongestWait = absl::Seconds(5);
constexpr absl::Duration kForSomebody = absl::Minutes(1);

}  // namespace

std::optional<absl::Duration> Patience::After(const Round& round) {
  if (round.time_left <= absl::ZeroDuration()) return std::nullopt;
  if (round.somebody_full && round.soonest_room) {
    return std::min(*round.soonest_room * (1 + round.spread / 2), round.time_left);
  }
  absl::Duration wait = next_ * (1 - round.spread / 2);
  if (!round.somebody_full) {
    wait = std::min(wait, kForSomebody - nobody_there_);
    if (wait <= absl::ZeroDuration()) return std::nullopt;
    nobody_there_ += wait;
  }
  next_ = std::min(2 * next_, kLongestWait);
  return std::min(wait, round.time_left);
}

}  // namespace floe::gateway
