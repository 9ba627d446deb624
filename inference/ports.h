// What inference needs from outside.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::inference {

// Where weights come from: a shared folder of blobs, or the registry by way of a node cache.
// Thread-safe.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // The checkpoint whose manifest has this SHA-256, as a local folder with every file verified by
  // digest. The folder stays as it is while the process lives. NOT_FOUND when nobody has it;
  // DATA_LOSS names a file whose bytes are not those of its digest; INVALID_ARGUMENT when `digest`
  // is none.
  virtual absl::StatusOr<std::filesystem::path> Fetch(std::string_view digest) = 0;
};

}  // namespace floe::inference
