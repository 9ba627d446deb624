#include "services/alignment/executor/base_checkpoint.h"

#include <system_error>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "services/registry/client/checkpoint_transfer.h"
#include "services/runner/job_inputs.h"

namespace floe::runner {

absl::StatusOr<PinnedVersion> FetchVersion(registry::RegistryClient& registry,
                                           const Assignment& job, const std::string& reference) {
  const size_t at = reference.find("@sha256:");
  PinnedVersion pinned;
  FLOE_ASSIGN_OR_RETURN(pinned.version,
                        registry.GetModelVersion(CallFor(job, kAskTime), reference.substr(0, at)));
  if (at != std::string::npos && reference.substr(at + 8) != pinned.version.digest()) {
    return absl::FailedPreconditionError(absl::StrCat(pinned.version.name(),
                                                      " is sha256:", pinned.version.digest(),
                                                      " now, not ", reference.substr(at + 1)));
  }
  FLOE_ASSIGN_OR_RETURN(pinned.manifest, model::Manifest::Parse(pinned.version.manifest()));
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    const auto file = pinned.manifest.files.find(name);
    if (file == pinned.manifest.files.end()) continue;
    FLOE_ASSIGN_OR_RETURN(pinned.tokenizer_files[name],
                          registry.DownloadBytes(CallFor(job, kTransferTime), file->second.digest,
                                                 kMaxTokenizerBytes));
  }
  const auto tokenizer = pinned.tokenizer_files.find("tokenizer.json");
  if (tokenizer == pinned.tokenizer_files.end()) {
    return absl::FailedPreconditionError(absl::StrCat(
        pinned.version.name(), " has no tokenizer.json, without which no text can be encoded"));
  }
  pinned.tokenizer_digest = pinned.manifest.files.at("tokenizer.json").digest;
  FLOE_ASSIGN_OR_RETURN(pinned.tokenizer, tokenizer::Tokenizer::Load(tokenizer->second));
  if (const auto config = pinned.tokenizer_files.find("tokenizer_config.json");
      config != pinned.tokenizer_files.end()) {
    FLOE_ASSIGN_OR_RETURN(pinned.chat, tokenizer::ChatTemplate::FromConfig(config->second));
  }
  return pinned;
}

absl::StatusOr<model::Checkpoint> FetchCheckpoint(registry::RegistryClient& registry,
                                                  const Assignment& job,
                                                  const registry::v1::ModelVersion& version,
                                                  const std::filesystem::path& folder) {
  auto kept = model::Checkpoint::Open(folder);
  if (kept.ok() && kept->digest() == version.digest()) return kept;
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return ErrnoStatus(error.value(), "cannot clear " + folder.string());
  FLOE_RETURN_IF_ERROR(
      registry::DownloadCheckpoint(registry, CallFor(job, kTransferTime), version, folder));
  return model::Checkpoint::Open(folder);
}

}  // namespace floe::runner
