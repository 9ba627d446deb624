// A frozen vocabulary under a name; like a dataset, a name has revisions by content.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "registry/names.h"

namespace floe::registry {

struct TokenizerRevision {
  OwnedName name;
  std::string digest;         // of tokenizer.json
  std::string config_digest;  // of tokenizer_config.json; empty when there is none
  int64_t vocab_size = 0;
  std::string dataset_digest;  // what it was trained on; empty when imported
  std::string job;
  double bytes_per_token = 0;  // of the training text; 0 when unknown
  std::string creator;
  absl::Time create_time;
};

// INVALID_ARGUMENT names the field that is wrong.
absl::Status Validate(const TokenizerRevision& tokenizer);

}  // namespace floe::registry
