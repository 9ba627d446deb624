#include "gateway/limits/rate_limits.h"

namespace floe::gateway::limits {
namespace {

absl::Status NoRedis() {
  return absl::UnavailableError("no Redis is configured (redis-url), so limits are not counted");
}

}  // namespace

Awaitable<absl::StatusOr<Admission>> UncountedLimits::Admit(const std::string&, int64_t, int64_t) {
  co_return NoRedis();
}

Awaitable<absl::StatusOr<Charge>> UncountedLimits::ChargeTokens(const std::string&, int64_t,
                                                                int64_t) {
  co_return NoRedis();
}

std::string ResetText(absl::Duration duration) {
  return absl::FormatDuration(absl::Ceil(duration, absl::Milliseconds(1)));
}

}  // namespace floe::gateway::limits
