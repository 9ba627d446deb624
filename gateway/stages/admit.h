// admit: the policy that holds for the request, one of the key's requests a minute, and a place
// among those at once.
#pragma once

#include "gateway/limits/rate_limits.h"
#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows both. Leaving gives back the place, and the tokens that were charged and not
// used.
class AdmitStage final : public Stage {
 public:
  AdmitStage(Policies& policies, limits::RateLimits& limits)
      : policies_(policies), limits_(limits) {}

  std::string_view name() const override { return "admit"; }
  // RESOURCE_EXHAUSTED (RATE_LIMIT_EXCEEDED, with retry_after_seconds) above a limit; UNAVAILABLE
  // (LIMITS_UNAVAILABLE) when nothing can be counted and the policy refuses then.
  Awaitable<absl::Status> Enter(Request& request) override;
  void Leave(Request& request) noexcept override;

 private:
  Policies& policies_;
  limits::RateLimits& limits_;
};

// The refusals, for whoever counts: `what` is "60 requests a minute".
absl::Status RateLimitExceeded(std::string_view what, absl::Duration retry_after);
absl::Status LimitsUnavailable();

}  // namespace floe::gateway
