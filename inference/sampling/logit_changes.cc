#include "inference/sampling/logit_changes.h"

namespace floe::inference {

LogitChanges::LogitChanges(const SamplingParams& params, std::span<const int32_t> prompt,
                           std::span<const int32_t> answer)
    : repetition_(params.repetition_penalty),
      frequency_(params.frequency_penalty),
      presence_(params.presence_penalty) {
  for (const LogitBias& bias : params.logit_bias) changes_[bias.id].bias = bias.bias;
  if (repetition_ != 1) {
    for (const int32_t id : prompt) changes_[id].seen = true;
  }
  for (const int32_t id : answer) Push(id);
}

void LogitChanges::Push(int32_t id) {
  if (repetition_ == 1 && frequency_ == 0 && presence_ == 0) return;
  Change& change = changes_[id];
  change.seen = true;
  ++change.count;
}

std::span<const float> LogitChanges::Apply(std::span<const float> logits,
                                           std::vector<float>& scratch) const {
  if (changes_.empty()) return logits;
  scratch.assign(logits.begin(), logits.end());
  for (const auto& [id, change] : changes_) {
    if (static_cast<size_t>(id) >= scratch.size()) continue;
    float& logit = scratch[static_cast<size_t>(id)];
    logit += change.bias;
    if (change.seen) logit = logit > 0 ? logit / repetition_ : logit * repetition_;
    logit -= frequency_ * static_cast<float>(change.count);
    if (change.count > 0) logit -= presence_;
  }
  return scratch;
}

}  // namespace floe::inference
