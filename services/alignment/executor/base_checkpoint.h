// A model version that a specification has pinned, as the executors need it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "model/checkpoint.h"
#include "services/registry/client/registry_client.h"
#include "services/runner/executor.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace floe::runner {

// A version with its tokenizer; the weights are left where they are.
struct PinnedVersion {
  registry::v1::ModelVersion version;
  model::Manifest manifest;
  std::string tokenizer_digest;  // of tokenizer.json
  std::map<std::string, std::string> tokenizer_files;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer;
  tokenizer::ChatTemplate chat;  // its own; ChatML where it has none
};

// `reference` is a version's resource name with @sha256:<digest>. FAILED_PRECONDITION when the
// version has another digest by now, or no tokenizer; INVALID_ARGUMENT for a chat template that
// cannot be rendered here.
absl::StatusOr<PinnedVersion> FetchVersion(registry::RegistryClient& registry,
                                           const Assignment& job, const std::string& reference);

// All files of the version in `folder`; what an earlier attempt left is used again when every byte
// is right.
absl::StatusOr<model::Checkpoint> FetchCheckpoint(registry::RegistryClient& registry,
                                                  const Assignment& job,
                                                  const registry::v1::ModelVersion& version,
                                                  const std::filesystem::path& folder);

}  // namespace floe::runner
