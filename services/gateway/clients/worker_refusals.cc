#include "services/gateway/clients/worker_refusals.h"

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "services/runtime/status.h"
#include "services/usage/receipt_status.h"

namespace floe::gateway {

bool IsFinal(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsCancelled(status) ||
         absl::IsDeadlineExceeded(status);
}

bool Drains(const absl::Status& status) {
  const std::optional<ErrorReason> reason = ReasonOf(status);
  return reason && (reason->reason == "DRAINING" || reason->reason == "HANDED_OVER");
}

bool TookNothing(const absl::Status& status) {
  if (!usage::ReceiptOf(status).empty()) return false;
  const std::optional<ErrorReason> reason = ReasonOf(status);
  return absl::IsResourceExhausted(status) || absl::IsInvalidArgument(status) ||
         (reason && reason->reason == "DRAINING");
}

bool MayTakeLater(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
}

std::optional<int> RetryAfterOf(const absl::Status& refusal) {
  const std::optional<ErrorReason> reason = ReasonOf(refusal);
  if (!reason) return std::nullopt;
  const auto after = reason->metadata.find("retry_after_seconds");
  int seconds = 0;
  if (after == reason->metadata.end() || !absl::SimpleAtoi(after->second, &seconds)) {
    return std::nullopt;
  }
  return std::max(1, seconds);
}

void KeepSoonest(const absl::Status& refusal, std::optional<int>& soonest) {
  if (const std::optional<int> after = RetryAfterOf(refusal)) {
    soonest = std::min(*after, soonest.value_or(*after));
  }
}

absl::Status AllFailed(const absl::Status& last, const std::optional<int>& retry_after_seconds) {
  switch (last.code()) {
    case absl::StatusCode::kResourceExhausted: {
      const int seconds = retry_after_seconds.value_or(1);
      return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                            "all workers are busy, or would answer too late; try again in ",
                            seconds, seconds == 1 ? " second" : " seconds")),
                        "OVERLOADED", {{"retry_after_seconds", absl::StrCat(seconds)}});
    }
    case absl::StatusCode::kUnavailable:
      return WithReason(
          absl::UnavailableError("no worker answers at the moment; try again in a moment"),
          "NO_WORKER");
    // The registry knows the checkpoint, so what a worker lacks is not the client's mistake.
    default:
      return absl::InternalError(absl::StrCat(
          "no worker could serve the checkpoint: ", std::string(runtime::CodeName(last.code())),
          ": ", last.message()));
  }
}

}  // namespace floe::gateway
