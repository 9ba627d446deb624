#include "gateway/stages/admit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::gateway {
namespace {

int64_t UsedTokens(const Request& request) {
  if (request.finish) return request.finish->prompt_tokens + request.finish->completion_tokens;
  if (request.arrived_tokens == 0) return 0;
  return static_cast<int64_t>(request.prompt_ids.size()) + request.arrived_tokens;
}

absl::Status RefusalOf(const limits::Admission& admission, const policy::Limits& limits) {
  switch (admission.refusal) {
    case limits::Refusal::kNone:
    case limits::Refusal::kTokens:
      break;
    case limits::Refusal::kRequests:
      return RateLimitExceeded(absl::StrCat(limits.requests_per_minute, " requests a minute"),
                               admission.retry_after);
    case limits::Refusal::kConcurrent:
      return RateLimitExceeded(absl::StrCat(limits.concurrent, " requests at once"),
                               admission.retry_after);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RateLimitExceeded(std::string_view what, absl::Duration retry_after) {
  const absl::Duration seconds = absl::Ceil(retry_after, absl::Seconds(1));
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat("this key's limit of ", AbslView(what),
                                                " is reached; try again in ",
                                                limits::ResetText(retry_after))),
      "RATE_LIMIT_EXCEEDED",
      {{"retry_after_seconds", absl::StrCat(std::max<int64_t>(1, absl::ToInt64Seconds(seconds)))}});
}

absl::Status LimitsUnavailable() {
  return WithReason(
      absl::UnavailableError("limits cannot be counted at the moment, and this team's policy lets "
                             "nothing pass uncounted; try again in a moment"),
      "LIMITS_UNAVAILABLE");
}

Awaitable<absl::Status> AdmitStage::Enter(Request& request) {
  request.policy = policies_.Current();
  request.rules = &request.policy->For(request.scope.caller.team);
  const policy::Limits& limits = request.rules->limits;
  if (limits.requests_per_minute == 0 && limits.concurrent == 0) co_return absl::OkStatus();
  absl::StatusOr<limits::Admission> admission = co_await limits_.Admit(
      request.scope.caller.key_id, limits.requests_per_minute, limits.concurrent);
  if (!admission.ok()) {
    co_return request.rules->allow_without_redis ? absl::OkStatus() : LimitsUnavailable();
  }
  request.limits.requests = admission->requests;
  request.limits.place = std::move(admission->place);
  co_return RefusalOf(*admission, limits);
}

void AdmitStage::Leave(Request& request) noexcept {
  limits::Settlement settlement;
  settlement.key_id = request.scope.caller.key_id;
  settlement.place = std::exchange(request.limits.place, "");
  if (request.limits.charged_tokens > 0) {
    settlement.token_limit = request.rules->limits.tokens_per_minute;
    settlement.unused_tokens =
        std::max<int64_t>(0, request.limits.charged_tokens - UsedTokens(request));
  }
  if (settlement.place.empty() && settlement.unused_tokens == 0) return;
  limits_.Settle(settlement);
}

}  // namespace floe::gateway
