#include "inference/sampling/token_constraint.h"

#include <limits>
#include <vector>

#include "base/status_macros.h"

namespace floe::inference {

absl::StatusOr<int32_t> DrawAllowed(Sampler& sampler, std::span<const float> logits,
                                    const SamplingParams& params, int64_t position,
                                    TokenConstraint& constraint) {
  FLOE_ASSIGN_OR_RETURN(const std::span<const uint64_t> allowed, constraint.Allowed());
  const auto may_come = [&](size_t id) { return (allowed[id / 64] >> (id % 64) & 1) != 0; };
  std::vector<float> masked(logits.size(), -std::numeric_limits<float>::infinity());
  for (size_t id = 0; id < logits.size(); ++id) {
    if (may_come(id)) masked[id] = logits[id];
  }
  const int32_t id = sampler.Draw(masked, params, position);
  if (!may_come(static_cast<size_t>(id))) {
    return absl::InternalError("the model gives no id that the constraint allows a probability");
  }
  FLOE_RETURN_IF_ERROR(constraint.Accept(id));
  return id;
}

}  // namespace floe::inference
