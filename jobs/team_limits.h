// How many jobs a team may have in work, and how many that wait: what holds back a team that would
// take all runners, or fill the queue. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe::jobs {

struct TeamLimits {
  int usual = 0;  // 0: any number
  std::map<std::string, int> exceptions;

  int Of(const std::string& team) const;
};

// Of the options `<what>-per-team` and `<what>-of`, the latter as `team=number`. INVALID_ARGUMENT
// names the one that is none.
absl::StatusOr<TeamLimits> ParseTeamLimits(std::string_view what, int usual,
                                           const std::vector<std::string>& exceptions);

// For people: why a queued job of the team waits although it may be the next; empty when its limit
// leaves room. `held`: the team's jobs that runners hold.
std::string WhyHeldBack(const TeamLimits& limits, const std::string& team, int held);

// RESOURCE_EXHAUSTED (QUEUED_JOBS_LIMIT) when the team may not queue one more. `waiting`: its jobs
// that are queued or paused, which could be queued again at any time.
absl::Status CheckRoom(const TeamLimits& limits, const std::string& team, int waiting);

}  // namespace floe::jobs
