#include "services/alignment/references.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/runtime/client.h"

namespace floe::services::alignment {
namespace {

namespace pb = ::floe::registry::v1;

constexpr absl::Duration kRegistryTime = absl::Seconds(10);

absl::Status NotThere(const absl::Status& status, const std::string& key, const std::string& what,
                      const std::string& hint) {
  if (!absl::IsNotFound(status)) return status;
  return WithReason(absl::NotFoundError(absl::StrCat(key, ": there is no ", what, "; ", hint)),
                    absl::AsciiStrToUpper(key) + "_NOT_FOUND", {{key, what}});
}

}  // namespace

References::References(registry::RegistryClient& registry, const runtime::CallContext& call,
                       const std::string& team)
    : registry_(registry),
      team_(team),
      outgoing_(runtime::OutgoingCall::From(call, kRegistryTime)) {
  outgoing_.identity.team = team;  // also when a service asks on its own behalf
}

absl::StatusOr<pb::Dataset> References::Dataset(const std::string& key,
                                                const std::string& reference) {
  const std::string prefix = absl::StrCat("teams/", team_, "/datasets/");
  const std::string name =
      absl::StartsWith(reference, "teams/") ? reference : absl::StrCat(prefix, reference);
  if (!absl::StartsWith(name, prefix)) {
    return absl::InvalidArgumentError(absl::StrCat(key, " is \"", reference, "\"; a job of teams/",
                                                   team_, " uses a dataset of that team"));
  }
  auto dataset = registry_.GetDataset(outgoing_, name);
  FLOE_RETURN_IF_ERROR(
      NotThere(dataset.status(), key, name, "register it first (floe data import)"));
  return dataset;
}

absl::StatusOr<pb::ModelVersion> References::Find(const std::string& reference) {
  if (absl::StartsWith(reference, "teams/")) {
    const size_t at = reference.find('@');
    FLOE_ASSIGN_OR_RETURN(pb::ModelVersion version,
                          registry_.GetModelVersion(outgoing_, reference.substr(0, at)));
    if (at == std::string::npos || reference.substr(at + 1) == "sha256:" + version.digest()) {
      return version;
    }
    return absl::NotFoundError("the version has another digest");
  }
  return registry_.ResolveModelVersion(outgoing_, absl::StrCat("teams/", team_), reference);
}

absl::StatusOr<pb::ModelVersion> References::Version(const std::string& key,
                                                     const std::string& reference) {
  if (absl::StartsWith(reference, "teams/") &&
      !absl::StartsWith(reference, absl::StrCat("teams/", team_, "/"))) {
    return absl::InvalidArgumentError(absl::StrCat(key, " is \"", reference, "\"; a job of teams/",
                                                   team_, " uses a model of that team"));
  }
  auto version = Find(reference);
  FLOE_RETURN_IF_ERROR(NotThere(version.status(), key,
                                absl::StrCat("model version ", reference, " of teams/", team_),
                                "train it first (floe train), or see floe models ls"));
  return version;
}

std::string Pinned(const pb::Dataset& dataset) {
  return absl::StrCat(dataset.name(), "@sha256:", dataset.digest());
}

std::string Pinned(const pb::ModelVersion& version) {
  return absl::StrCat(version.name(), "@sha256:", version.digest());
}

}  // namespace floe::services::alignment
