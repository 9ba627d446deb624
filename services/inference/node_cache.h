// Checkpoints on this machine: <folder>/<digest>/ holds one whose every byte was verified.
//
// A checkpoint is put together under a temporary name and renamed, so that what has its name is
// complete, also after a crash. One that is found is verified again before it is used: disks
// forget.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "inference/ports.h"
#include "services/inference/blob_source.h"

namespace floe::inference {

// Thread-safe; fetches one checkpoint at a time.
class NodeCache final : public WeightSource {
 public:
  NodeCache(std::filesystem::path folder, std::unique_ptr<BlobSource> blobs)
      : folder_(std::move(folder)), blobs_(std::move(blobs)) {}

  // A cached checkpoint whose bytes changed is fetched anew; when the source's bytes are wrong too,
  // that is DATA_LOSS naming the file.
  absl::StatusOr<std::filesystem::path> Fetch(std::string_view digest) override;
  std::optional<std::filesystem::path> Kept(std::string_view digest) override;

 private:
  absl::Status Assemble(std::string_view digest, const std::filesystem::path& folder);

  const std::filesystem::path folder_;
  const std::unique_ptr<BlobSource> blobs_;
  std::mutex mutex_;
};

// Compares every file of a checkpoint folder with the manifest, and the manifest with `digest`.
absl::Status VerifyCheckpointFolder(const std::filesystem::path& folder, std::string_view digest);

}  // namespace floe::inference
