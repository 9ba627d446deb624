// Inspection in torch's terms.
#pragma once

#include <stop_token>

#include "absl/status/statusor.h"

#include "trainer/inspection/inspect.h"
#include "trainer/internal/transformer.h"

namespace floe::trainer {

// CANCELLED; c10 exceptions leave it. The text has been checked.
absl::StatusOr<Inspection> Look(const Transformer& transformer, const InspectionText& text,
                                std::stop_token stop);

// softmax(q k^T / sqrt(head_dim)) under the causal mask, whole: [B, H, T, T].
at::Tensor AttentionPattern(const Heads& heads);

// Mean over queries t >= max(first, distance) of the attention that they give to t - distance, a
// head: [H]. pattern [B, H, T, T].
at::Tensor MeanAttentionBack(const at::Tensor& pattern, int64_t distance, int64_t first);

}  // namespace floe::trainer
