#include "jobs/team_limits.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/resource_name.h"

namespace floe::jobs {

int TeamLimits::Of(const std::string& team) const {
  const auto found = exceptions.find(team);
  return found == exceptions.end() ? usual : found->second;
}

absl::StatusOr<TeamLimits> ParseTeamLimits(int usual, const std::vector<std::string>& exceptions) {
  if (usual < 0) {
    return absl::InvalidArgumentError("running-jobs-per-team must be 0 (any number) or more");
  }
  TeamLimits limits{usual, {}};
  for (const std::string& exception : exceptions) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(exception, absl::MaxSplits('=', 1));
    int limit = 0;
    if (!IsResourceId(parts.first) || !absl::SimpleAtoi(parts.second, &limit) || limit < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("running-jobs-of has \"", exception,
                       "\"; write team=number, with 0 for any number: nlp=4"));
    }
    if (!limits.exceptions.emplace(parts.first, limit).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("running-jobs-of names the team ", parts.first, " twice"));
    }
  }
  return limits;
}

std::string WhyHeldBack(const TeamLimits& limits, const std::string& team, int held) {
  const int limit = limits.Of(team);
  if (limit == 0 || held < limit) return "";
  return absl::StrCat("team ", team, " has ", held, held == 1 ? " job" : " jobs",
                      " in work and may have ", limit,
                      ": this one is taken when one of them has ended");
}

}  // namespace floe::jobs
