#include "registry/model_version.h"

#include <cmath>

#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/status_macros.h"
#include "model/accounting.h"
#include "model/checkpoint.h"
#include "registry/caller.h"

namespace floe::registry {
namespace {

constexpr size_t kMaxMetrics = 200;
constexpr size_t kMaxNameBytes = 200;

}  // namespace

absl::StatusOr<ModelVersion> VersionFromManifest(const OwnedName& model,
                                                 std::string_view manifest) {
  auto parsed = model::Manifest::Parse(manifest);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("model_version.manifest: ", parsed.status().message()));
  }
  if (parsed->files.empty()) {
    return absl::InvalidArgumentError("model_version.manifest names no file");
  }
  ModelVersion version;
  version.name.model = model;
  version.digest = Sha256::Hex(manifest);
  version.manifest = manifest;
  for (const auto& [name, entry] : parsed->files) {
    version.files.push_back({name, {entry.digest, static_cast<int64_t>(entry.size)}});
  }
  version.lineage.parent_digest = parsed->parents.checkpoint;
  version.lineage.dataset_digest = parsed->parents.dataset;
  version.lineage.tokenizer_digest = parsed->parents.tokenizer;
  version.parameters = model::CountParameters(parsed->blueprint).Total();
  return version;
}

absl::Status ValidateEvidence(const ModelVersion& version) {
  FLOE_RETURN_IF_ERROR(CheckText("model_version.lineage.job", version.lineage.job, kMaxNameBytes));
  if (version.metrics.size() > kMaxMetrics) {
    return absl::InvalidArgumentError(absl::StrCat("model_version.metrics has ",
                                                   version.metrics.size(), " entries; at most ",
                                                   kMaxMetrics, " are kept"));
  }
  for (const auto& [name, value] : version.metrics) {
    FLOE_RETURN_IF_ERROR(CheckText("a name in model_version.metrics", name, kMaxNameBytes));
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("model_version.metrics[", name, "] is ", value, "; give a finite number"));
    }
  }
  return absl::OkStatus();
}

}  // namespace floe::registry
