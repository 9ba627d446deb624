// Content-addressed bytes, up and down in pieces.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/door/door.h"

namespace floe::cli {

// Told the bytes that went since the last call.
using OnBytes = std::function<void(int64_t)>;

// Stores `bytes` under `digest`, which must be theirs, in pieces of 1 MiB; true when they had to be
// sent, false when they were there already.
absl::StatusOr<bool> UploadBlob(Door& door, const std::string& digest, std::string_view bytes,
                                const OnBytes& on_bytes);

// Writes a blob to `path` and compares what came with its digest: DATA_LOSS otherwise, and no file.
absl::Status DownloadBlob(Door& door, const std::string& digest, const std::filesystem::path& path,
                          const OnBytes& on_bytes);

}  // namespace floe::cli
