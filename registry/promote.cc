#include "registry/promote.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::registry {
namespace {

constexpr size_t kMaxReasonBytes = 2000;

}  // namespace

absl::StatusOr<Alias> Promote::SetAlias(const Caller& caller, const RequestKey& request,
                                        const AliasName& alias, const VersionName& version,
                                        const std::string& etag, const std::string& reason) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, alias.model.team, ToString(alias)));
  if (alias.model != version.model) {
    return absl::InvalidArgumentError(absl::StrCat("version is ", ToString(version),
                                                   "; an alias points at a version of its own "
                                                   "model, ",
                                                   ModelName(alias.model)));
  }
  FLOE_RETURN_IF_ERROR(CheckText("reason", reason, kMaxReasonBytes));
  FLOE_RETURN_IF_ERROR(CheckText("etag", etag, kMaxReasonBytes));
  AliasChange change;
  change.name = alias;
  change.version = version.version;
  change.etag = etag;
  change.actor = caller.actor;
  change.reason = reason;
  change.time = clock_.Now();
  return models_.SetAlias(request, change);
}

}  // namespace floe::registry
