#include "cli/commands/model_reference.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/output/human.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = registry::v1;

absl::StatusOr<pb::ModelVersion> Get(Door& door, const std::string& name) {
  pb::GetModelVersionRequest request;
  request.set_name(name);
  return door.Ask(door.registry(), &pb::RegistryService::Stub::GetModelVersion, request);
}

// NOT_FOUND when all versions were deleted.
absl::StatusOr<pb::ModelVersion> Newest(Door& door, const std::string& team,
                                        const std::string& model) {
  pb::GetModelRequest request;
  request.set_name(absl::StrCat(team, "/models/", model));
  FLOE_ASSIGN_OR_RETURN(const pb::Model found,
                        door.Ask(door.registry(), &pb::RegistryService::Stub::GetModel, request));
  if (!found.latest_version().empty()) return Get(door, found.latest_version());
  return absl::NotFoundError(absl::StrCat(found.name(), " has no version any more"));
}

}  // namespace

absl::StatusOr<pb::ModelVersion> ResolveVersion(Door& door, const std::string& reference) {
  if (absl::StartsWith(reference, "teams/")) return Get(door, reference);
  FLOE_ASSIGN_OR_RETURN(const std::string team, door.Team());
  absl::string_view model = reference;
  if (absl::ConsumeSuffix(&model, "@latest")) return Newest(door, team, std::string(model));
  pb::ResolveModelVersionRequest request;
  request.set_parent(team);
  request.set_reference(reference);
  auto version =
      door.Ask(door.registry(), &pb::RegistryService::Stub::ResolveModelVersion, request);
  const bool bare = !absl::StrContains(reference, '@') && !absl::StrContains(reference, ':');
  if (version.ok() || !absl::IsNotFound(version.status()) || !bare) return version;
  auto newest = Newest(door, team, reference);
  return newest.ok() ? newest : version;
}

std::string ModelOf(const std::string& version_name) {
  return version_name.substr(0, version_name.find("/versions/"));
}

std::string ShortVersion(const std::string& version_name) {
  return absl::StrCat(LastId(ModelOf(version_name)), "@", LastId(version_name));
}

}  // namespace floe::cli
