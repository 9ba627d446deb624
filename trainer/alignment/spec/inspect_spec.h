// The specification of a job of kind `inspect`, as people write it (YAML or JSON):
//
//   kind: inspect                 # may be left out
//   model: lexicon@latest         # the version to look into
//   against: lexicon@1            # what it is compared with; left out: fresh weights of `seed`
//   dataset: wordnet              # the text that it reads: format text or jsonl
//   tokens: 4096                  # how much of it
//   seed: 1                       # of the fresh weights and of the random probes
//
// Pure: no torch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::trainer {

inline constexpr std::string_view kInspectJobKind = "inspect";

struct InspectSpec {
  std::string model;
  std::string against;  // empty: fresh weights
  std::string dataset;
  int64_t tokens = 4096;
  uint64_t seed = 1;
  bool operator==(const InspectSpec&) const = default;
};

// INVALID_ARGUMENT names the line and what is wrong there.
absl::StatusOr<InspectSpec> ParseInspectSpec(std::string_view text);

// As one line of JSON that ParseInspectSpec reads back to an equal value.
std::string InspectSpecJson(const InspectSpec& spec);

}  // namespace floe::trainer
