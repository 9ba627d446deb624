// The losses of direct preference optimisation on one pair, with their derivatives: pure numbers.
//
// d = (policy_chosen - reference_chosen) - (policy_rejected - reference_rejected),
// log-probabilities of the answers summed over their tokens.
//   sigmoid  -log s(beta d)                                                    (arXiv:2305.18290)
//   robust   (-(1 - e) log s(beta d) + e log s(-beta d)) / (1 - 2 e): a share e of the labels is
//            taken to be swapped                                               (arXiv:2403.00409)
//   ipo      (d - 1 / (2 beta))^2, each answer's part of d divided by its tokens unless summed
//                                                                              (arXiv:2310.12036)
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe::trainer {

enum class PreferenceLossKind { kSigmoid, kRobust, kIpo };

std::string_view PreferenceLossName(PreferenceLossKind kind);  // "sigmoid", …
absl::StatusOr<PreferenceLossKind> ParsePreferenceLoss(std::string_view name);

struct PreferenceLossOptions {
  PreferenceLossKind kind = PreferenceLossKind::kSigmoid;
  double beta = 0.1;
  double label_smoothing = 0;     // e of robust, below 0.5; the others take none
  bool length_normalized = true;  // of ipo
  bool operator==(const PreferenceLossOptions&) const = default;
};

// INVALID_ARGUMENT names what is out of range, or label_smoothing on a loss that would ignore it.
absl::Status Validate(const PreferenceLossOptions& options);

// Natural logarithms, summed over the answer's tokens.
struct PairLogProbabilities {
  double policy_chosen = 0;
  double policy_rejected = 0;
  double reference_chosen = 0;
  double reference_rejected = 0;
  int64_t chosen_tokens = 1;
  int64_t rejected_tokens = 1;
};

struct PreferenceLoss {
  double loss = 0;
  double d_policy_chosen = 0;  // derivative of the loss
  double d_policy_rejected = 0;
  double reward_chosen = 0;  // beta (policy - reference)
  double reward_rejected = 0;
};

PreferenceLoss ComputePreferenceLoss(const PreferenceLossOptions& options,
                                     const PairLogProbabilities& pair);

}  // namespace floe::trainer
