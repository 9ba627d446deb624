// RoPE's inverse frequencies, and how they are scaled for contexts longer than those that a model
// was first trained on. Trainer, engines and exports take them from here alone.
//
// Sources: RoPE: Su et al. 2021, arXiv:2104.09864. linear: Chen et al. 2023, arXiv:2306.15595.
// llama3 (Llama 3.1 and later): transformers 4.57, modeling_rope_utils.py,
// _compute_llama3_parameters; names of types and dials are those of its config.json.
//
// Values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace floe::model {

// kLinear: every frequency is divided by the factor. kLlama3: by wavelength in tokens, of the
// original context C: above C / low_freq_factor divided by the factor, below C / high_freq_factor
// as it was, in between a mix of the two.
enum class RopeScalingKind { kNone, kLinear, kLlama3 };

struct RopeScaling {
  RopeScalingKind kind = RopeScalingKind::kNone;
  double factor = 1;                             // by which the context grew
  double low_freq_factor = 0;                    // kLlama3 alone, as the two below
  double high_freq_factor = 0;                   // above low_freq_factor
  int64_t original_max_position_embeddings = 0;  // tokens; at most the context

  bool operator==(const RopeScaling&) const = default;
};

std::string_view RopeScalingName(RopeScalingKind kind);  // "default", "linear", "llama3"
// INVALID_ARGUMENT names the type, and those that are computed.
absl::StatusOr<RopeScalingKind> ParseRopeScaling(std::string_view name);

// Calls `visit(name, value)` for each dial that the kind has, to read or to write it: numbers are
// double, the original context is int64_t.
template <typename Scaling, typename Visit>
void VisitDials(Scaling& scaling, Visit visit) {
  if (scaling.kind == RopeScalingKind::kNone) return;
  visit("factor", scaling.factor);
  if (scaling.kind == RopeScalingKind::kLinear) return;
  visit("low_freq_factor", scaling.low_freq_factor);
  visit("high_freq_factor", scaling.high_freq_factor);
  visit("original_max_position_embeddings", scaling.original_max_position_embeddings);
}

// Every dial that is wrong, as "rope_scaling.factor is 0: must be …".
std::vector<std::string> MistakesOf(const RopeScaling& scaling, int64_t context);

// One line for people: "llama3 (factor 8, …)"; "default" without scaling.
std::string ShownRopeScaling(const RopeScaling& scaling);

// Radians a token of each pair, [head_dim / 2]: theta^(-2i / head_dim), scaled. Computed in 64
// bits. Requires valid dials.
std::vector<double> RopeInverseFrequencies(int64_t head_dim, double theta,
                                           const RopeScaling& scaling);

}  // namespace floe::model
