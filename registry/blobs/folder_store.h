// Blobs as read-only files of a folder, which other machines may see as well.
//
//   <folder>/sha256/ab/abcdef…   one file a content, appearing whole (layout.h)
//   <folder>/uploads/            what is being received
#pragma once

#include <filesystem>
#include <memory>

#include "registry/ports.h"

namespace floe::registry {

// Thread-safe, also between processes.
class FolderStore final : public BlobStore {
 public:
  // Makes the folder where there is none. The error names it and the option to look at.
  static absl::StatusOr<std::unique_ptr<FolderStore>> Open(std::filesystem::path folder);

  absl::StatusOr<std::unique_ptr<BlobWriter>> Begin() override;
  absl::StatusOr<int64_t> Size(std::string_view digest) override;
  absl::Status Read(const Blob& blob, int64_t offset, Sink sink) override;
  absl::Status Remove(std::string_view digest) override;
  absl::Status ForEach(
      absl::FunctionRef<absl::Status(const Blob& blob, absl::Time placed)> visit) override;
  absl::StatusOr<int64_t> RemoveUnfinished(absl::Time before) override;

 private:
  explicit FolderStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path folder_;
};

}  // namespace floe::registry
