// Text to train on. A name has revisions, one for each content; the newest is what the name means.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "registry/blob.h"
#include "registry/names.h"

namespace floe::registry {

struct Dataset {
  OwnedName name;
  Blob blob;
  std::string format;  // `text` or `jsonl`
  int64_t documents = 0;
  std::string description;
  std::string creator;
  absl::Time create_time;
};

// INVALID_ARGUMENT names the field that is wrong.
absl::Status Validate(const Dataset& dataset);

}  // namespace floe::registry
