#include "cli/commands/model_reference.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/output/human.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = registry::v1;

absl::StatusOr<pb::ModelVersion> Resolve(Door& door, const std::string& reference) {
  pb::ResolveModelVersionRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), door.Team());
  request.set_reference(reference);
  return door.Ask(door.registry(), &pb::RegistryService::Stub::ResolveModelVersion, request);
}

}  // namespace

absl::StatusOr<pb::ModelVersion> ResolveVersion(Door& door, const std::string& reference) {
  if (absl::StartsWith(reference, "teams/")) {
    pb::GetModelVersionRequest request;
    request.set_name(reference);
    return door.Ask(door.registry(), &pb::RegistryService::Stub::GetModelVersion, request);
  }
  auto version = Resolve(door, reference);
  const bool bare = !absl::StrContains(reference, '@') && !absl::StrContains(reference, ':');
  if (version.ok() || !absl::IsNotFound(version.status()) || !bare) return version;
  auto newest = Resolve(door, absl::StrCat(reference, "@latest"));
  return newest.ok() ? newest : version;
}

std::string ModelOf(const std::string& version_name) {
  return version_name.substr(0, version_name.find("/versions/"));
}

std::string ShortVersion(const std::string& version_name) {
  return absl::StrCat(LastId(ModelOf(version_name)), "@", LastId(version_name));
}

}  // namespace floe::cli
