// Where the bytes of a blob come from: a shared folder, or the registry.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

#include "base/clock.h"
#include "services/runtime/client.h"

namespace floe::inference {

// Thread-safe.
class BlobSource {
 public:
  virtual ~BlobSource() = default;
  // Puts the blob's bytes at `to`, which does not exist yet; the caller verifies them. NOT_FOUND
  // when there is no such blob.
  virtual absl::Status Fetch(std::string_view digest, const std::filesystem::path& to) = 0;
};

// The registry's content-addressed folder, where this machine sees it (registry/blobs/layout.h).
// Blobs are linked, not copied.
std::unique_ptr<BlobSource> MakeFolderBlobSource(std::filesystem::path folder);

// Streams from the registry's BlobService, and goes on where a broken stream stopped. A whole blob
// must arrive within `at_most`.
std::unique_ptr<BlobSource> MakeRegistryBlobSource(std::shared_ptr<grpc::Channel> registry,
                                                   absl::Duration at_most);

}  // namespace floe::inference
