#include "registry/promote.h"

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"

namespace floe::registry {
namespace {

constexpr size_t kMaxReasonBytes = 2000;

}  // namespace

absl::StatusOr<Alias> Promote::SetAlias(const Caller& caller, const RequestKey& request,
                                        const AliasName& alias, const VersionName& version,
                                        const MoveOptions& options) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, alias.model.team, ToString(alias)));
  if (alias.model != version.model) {
    return absl::InvalidArgumentError(absl::StrCat("version is ", ToString(version),
                                                   "; an alias points at a version of its own "
                                                   "model, ",
                                                   ModelName(alias.model)));
  }
  FLOE_RETURN_IF_ERROR(CheckText("reason", options.reason, kMaxReasonBytes));
  FLOE_RETURN_IF_ERROR(CheckText("etag", options.etag, kMaxReasonBytes));
  if (options.override_gates && options.reason.find_first_not_of(" \t\r\n") == std::string::npos) {
    return WithReason(
        absl::InvalidArgumentError(
            "reason is empty; an override of the gates must say why, and that is kept"),
        "OVERRIDE_NEEDS_REASON");
  }
  AliasChange change;
  change.name = alias;
  change.version = version.version;
  change.etag = options.etag;
  change.actor = caller.actor;
  change.reason = options.reason;
  change.override_gates = options.override_gates;
  change.time = clock_.Now();
  return models_.SetAlias(request, change);
}

}  // namespace floe::registry
