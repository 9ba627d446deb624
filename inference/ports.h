// What inference needs from outside.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe::inference {

// Where weights come from: a shared folder of blobs, or the registry by way of a node cache.
// Thread-safe.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // The checkpoint whose manifest has this SHA-256, as a local folder with every file verified by
  // digest. Somebody may change files later: whoever reads them compares what he read. NOT_FOUND
  // when nobody has it; DATA_LOSS names a file whose bytes are not those of its digest;
  // INVALID_ARGUMENT when `digest` is none.
  virtual absl::StatusOr<std::filesystem::path> Fetch(std::string_view digest) = 0;

  // The folder of a checkpoint that was verified when it came to this machine, at once: its bytes
  // are not looked at again. Nothing when it is not here.
  virtual std::optional<std::filesystem::path> Kept(std::string_view digest) = 0;
};

}  // namespace floe::inference
