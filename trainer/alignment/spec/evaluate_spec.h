// The specification of a job of kind `evaluate`, as people write it (YAML or JSON):
//
//   kind: evaluate                                 # may be left out
//   models: [lexicon@production, lexicon@latest]   # what to evaluate
//   datasets: [definitions-held-out, choices]      # on what: text, chat, preference or choices
//   batch_size: 32                                 # texts a call of the scorer; changes no score
//
// Pure: no torch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace floe::trainer {

inline constexpr std::string_view kEvaluateJobKind = "evaluate";

struct EvaluateSpec {
  std::vector<std::string> models;
  std::vector<std::string> datasets;
  int64_t batch_size = 32;
  bool operator==(const EvaluateSpec&) const = default;
};

// INVALID_ARGUMENT names the line and what is wrong there.
absl::StatusOr<EvaluateSpec> ParseEvaluateSpec(std::string_view text);

// As one line of JSON that ParseEvaluateSpec reads back to an equal value.
std::string EvaluateSpecJson(const EvaluateSpec& spec);

}  // namespace floe::trainer
