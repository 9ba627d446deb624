// Whole checkpoints (model/checkpoint.h) to the registry and back.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "services/registry/client/registry_client.h"

namespace floe::registry {

// What the manifest does not say about a version.
struct Evidence {
  std::string job;                        // lineage; empty when imported
  std::map<std::string, double> metrics;  // held_out_loss, tokens, …
  std::string request_id;                 // empty: a new one
};

// Uploads every file that the folder's floe.json names, then publishes the version under `parent`
// (teams/{team}/models/{model}). DATA_LOSS when a file is not the one that floe.json names. Safe to
// repeat: the same checkpoint gives the version that exists. `progress` counts all files together.
absl::StatusOr<v1::ModelVersion> PublishCheckpoint(
    RegistryClient& registry, const runtime::OutgoingCall& call, const std::string& parent,
    const std::filesystem::path& folder, const Evidence& evidence,
    const RegistryClient::Progress& progress = nullptr);

// Every file of a version, floe.json included, into `folder`, which must not exist: it is put
// together under a temporary name beside it and appears when every byte was verified.
absl::Status DownloadCheckpoint(RegistryClient& registry, const runtime::OutgoingCall& call,
                                const v1::ModelVersion& version,
                                const std::filesystem::path& folder,
                                const RegistryClient::Progress& progress = nullptr);

}  // namespace floe::registry
