#include "jobs/team_limits.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/error_reason.h"
#include "base/resource_name.h"
#include "base/view.h"

namespace floe::jobs {

int TeamLimits::Of(const std::string& team) const {
  const auto found = exceptions.find(team);
  return found == exceptions.end() ? usual : found->second;
}

absl::StatusOr<TeamLimits> ParseTeamLimits(std::string_view what, int usual,
                                           const std::vector<std::string>& exceptions) {
  if (usual < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(AbslView(what), "-per-team must be 0 (any number) or more"));
  }
  TeamLimits limits{usual, {}};
  for (const std::string& exception : exceptions) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(exception, absl::MaxSplits('=', 1));
    int limit = 0;
    if (!IsResourceId(parts.first) || !absl::SimpleAtoi(parts.second, &limit) || limit < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(AbslView(what), "-of has \"", exception,
                       "\"; write team=number, with 0 for any number: nlp=4"));
    }
    if (!limits.exceptions.emplace(parts.first, limit).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(AbslView(what), "-of names the team ", parts.first, " twice"));
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

absl::Status CheckRoom(const TeamLimits& limits, const std::string& team, int waiting) {
  const int limit = limits.Of(team);
  if (limit == 0 || waiting < limit) return absl::OkStatus();
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          "team ", team, " has ", waiting, waiting == 1 ? " job" : " jobs",
          " waiting in this queue (queued or paused) and may have ", limit,
          ": submit this one when one of them has been taken, or cancel one (floe jobs ls, floe "
          "jobs cancel)")),
      "QUEUED_JOBS_LIMIT", {{"team", team}, {"limit", absl::StrCat(limit)}});
}

}  // namespace floe::jobs
