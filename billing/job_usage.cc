#include "billing/job_usage.h"

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::billing {
namespace {

constexpr size_t kMaxText = 256;

absl::Status CheckText(std::string_view field, const std::string& text) {
  if (text.size() <= kMaxText && text.find('\0') == std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(field), " must be at most ", kMaxText, " bytes without NUL"));
}

absl::Status CheckQuantities(const JobQuantities& used) {
  if (used.attempts >= 0 && used.tokens >= 0 && used.gigaflop >= 0 &&
      used.core_time >= absl::ZeroDuration() && used.core_time < absl::InfiniteDuration()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("what was used must be 0 or more");
}

}  // namespace

JobQuantities& JobQuantities::operator+=(const JobQuantities& more) {
  attempts += more.attempts;
  tokens += more.tokens;
  gigaflop += more.gigaflop;
  core_time += more.core_time;
  return *this;
}

absl::Status Validate(const JobUsage& usage) {
  FLOE_RETURN_IF_ERROR(CheckText("job", usage.job));
  FLOE_RETURN_IF_ERROR(ParseResourceName(usage.job, {"teams", "jobs"}).status());
  if (usage.attempt < 1) {
    return absl::InvalidArgumentError(absl::StrCat("attempt is ", usage.attempt, " of ", usage.job,
                                                   "; they are numbered from 1"));
  }
  if (!IsResourceId(usage.queue)) {
    return absl::InvalidArgumentError("queue must be the id of the service that owns it");
  }
  FLOE_RETURN_IF_ERROR(CheckText("kind", usage.kind));
  FLOE_RETURN_IF_ERROR(CheckText("runner", usage.runner));
  FLOE_RETURN_IF_ERROR(CheckText("outcome", usage.outcome));
  FLOE_RETURN_IF_ERROR(CheckText("made", usage.made));
  return CheckQuantities(usage.used);
}

std::string TeamOf(const JobUsage& usage) {
  return ParseResourceName(usage.job, {"teams", "jobs"}).value().front();
}

absl::Status Validate(const JobCount& count) {
  if (!IsResourceId(count.queue) || !IsResourceId(count.team)) {
    return absl::InvalidArgumentError("a count is of a queue and a team, by their ids");
  }
  return CheckQuantities(count.used);
}

std::string ExplainDifference(const JobCount& counted, const JobQuantities& billed) {
  if (counted.used == billed) return "";
  const auto text = [](const JobQuantities& used) {
    return absl::StrCat(used.attempts, " attempts, ", used.tokens, " tokens, ", used.gigaflop,
                        " GFLOP, ", absl::FormatDuration(used.core_time), " of cores");
  };
  return absl::StrCat("the queue of ", counted.queue, " counts for team ", counted.team, ": ",
                      text(counted.used), "; billing has ", text(billed));
}

}  // namespace floe::billing
