#include "registry/publish.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/error_reason.h"
#include "base/status_macros.h"

namespace floe::registry {

absl::Status BlobsMissing(const std::vector<std::string>& what) {
  return WithReason(absl::FailedPreconditionError(
                        absl::StrCat("this team has not uploaded: ", absl::StrJoin(what, "; "),
                                     ". Upload what is missing, then try again")),
                    "BLOB_MISSING");
}

absl::StatusOr<Dataset> Publish::CreateDataset(const Caller& caller, RequestKey request,
                                               Dataset dataset) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, dataset.name.team, "teams/" + dataset.name.team));
  FLOE_RETURN_IF_ERROR(Validate(dataset));
  FLOE_RETURN_IF_ERROR(RequireBlobs(caller, {{"dataset.digest", dataset.blob}}));
  request.caller_team = caller.team;
  dataset.creator = caller.actor;
  dataset.create_time = parts_.clock.Now();
  return parts_.artifacts.CreateDataset(request, dataset);
}

absl::StatusOr<TokenizerRevision> Publish::CreateTokenizer(const Caller& caller, RequestKey request,
                                                           TokenizerRevision tokenizer) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, tokenizer.name.team, "teams/" + tokenizer.name.team));
  FLOE_RETURN_IF_ERROR(Validate(tokenizer));
  std::vector<VersionFile> files = {{"tokenizer.digest", {tokenizer.digest, 0}}};
  if (!tokenizer.config_digest.empty()) {
    files.push_back({"tokenizer.config_digest", {tokenizer.config_digest, 0}});
  }
  FLOE_RETURN_IF_ERROR(RequireBlobs(caller, files));
  request.caller_team = caller.team;
  tokenizer.creator = caller.actor;
  tokenizer.create_time = parts_.clock.Now();
  return parts_.artifacts.CreateTokenizer(request, tokenizer);
}

absl::StatusOr<ModelVersion> Publish::CreateVersion(const Caller& caller, RequestKey request,
                                                    const VersionDraft& draft) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, draft.model.team, ModelName(draft.model)));
  FLOE_ASSIGN_OR_RETURN(ModelVersion version, VersionFromManifest(draft.model, draft.manifest));
  version.lineage.job = draft.job;
  version.metrics = draft.metrics;
  FLOE_RETURN_IF_ERROR(ValidateEvidence(version));
  FLOE_RETURN_IF_ERROR(RequireBlobs(caller, version.files));
  FLOE_RETURN_IF_ERROR(StoreManifest(caller, version));
  request.caller_team = caller.team;
  version.creator = caller.actor;
  version.create_time = parts_.clock.Now();
  return parts_.models.Publish(request, version);
}

absl::Status Publish::RequireBlobs(const Caller& caller, const std::vector<VersionFile>& files) {
  std::vector<std::string> missing;
  for (const VersionFile& file : files) {
    const std::string what = absl::StrCat("blob ", file.blob.digest, " (", file.name, ")");
    const auto entry = parts_.index.Find(caller.team, file.blob.digest);
    if (absl::IsNotFound(entry.status())) {
      missing.push_back(what);
      continue;
    }
    FLOE_RETURN_IF_ERROR(entry.status());
    const auto stored = parts_.store.Size(file.blob.digest);
    if (!stored.ok() && !absl::IsNotFound(stored.status())) return stored.status();
    if (entry->damaged || !stored.ok() || *stored != entry->blob.size_bytes) {
      missing.push_back(absl::StrCat(what, ", whose stored bytes are damaged"));
    } else if (file.blob.size_bytes > 0 && file.blob.size_bytes != entry->blob.size_bytes) {
      return absl::InvalidArgumentError(absl::StrCat(file.name, " has ", file.blob.size_bytes,
                                                     " bytes by the manifest, ", what, " has ",
                                                     entry->blob.size_bytes));
    }
  }
  return missing.empty() ? absl::OkStatus() : BlobsMissing(missing);
}

absl::Status Publish::StoreManifest(const Caller& caller, const ModelVersion& version) {
  FLOE_ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer, parts_.store.Begin());
  FLOE_RETURN_IF_ERROR(writer->Append(version.manifest));
  FLOE_ASSIGN_OR_RETURN(const Blob blob, writer->Seal());
  return parts_.index.Add(caller.team, blob, parts_.clock.Now(), [&] { return writer->Place(); });
}

}  // namespace floe::registry
