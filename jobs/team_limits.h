// How many jobs of one team runners hold at the same time: what holds back a team that would take
// them all. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace floe::jobs {

struct TeamLimits {
  int usual = 0;  // 0: any number
  std::map<std::string, int> exceptions;

  int Of(const std::string& team) const;
};

// `exceptions` as `team=number`. INVALID_ARGUMENT names the one that is none.
absl::StatusOr<TeamLimits> ParseTeamLimits(int usual, const std::vector<std::string>& exceptions);

// For people: why a queued job of the team waits although it may be the next; empty when its limit
// leaves room. `held`: the team's jobs that runners hold.
std::string WhyHeldBack(const TeamLimits& limits, const std::string& team, int held);

}  // namespace floe::jobs
