#include "gateway/auth/key_store.h"

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"

namespace floe::gateway {

absl::Status OtherTenant(const std::string& team, const std::string& tenant,
                         const std::string& wanted) {
  return WithReason(absl::FailedPreconditionError(
                        absl::StrCat("team ", team, " belongs to tenant ", tenant,
                                     " since its first key was made, and not to ", wanted,
                                     "; leave the tenant out, or choose another team")),
                    "TEAM_OF_OTHER_TENANT", {{"team", team}, {"tenant", tenant}});
}

}  // namespace floe::gateway
