#include "inference/engine/step_check.h"

#include <unordered_set>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::inference {

absl::Status ReserveTokens(const model::Blueprint& blueprint, KvBlocks& kv, SequenceId sequence,
                           int64_t tokens) {
  if (kv.Length(sequence) + tokens > blueprint.context) {
    return absl::OutOfRangeError(
        absl::StrCat("a sequence of ", kv.Length(sequence), " tokens cannot take ", tokens,
                     " more: the model's context is ", blueprint.context, "; shorten the prompt"));
  }
  return kv.Reserve(sequence, tokens);
}

absl::Status ReserveStep(const model::Blueprint& blueprint, KvBlocks& kv, int64_t max_step_tokens,
                         std::span<const SequenceStep> steps) {
  std::unordered_set<SequenceId> seen;
  int64_t tokens = 0;
  int64_t blocks = 0;
  for (const SequenceStep& step : steps) {
    if (!kv.IsOpen(step.sequence) || !seen.insert(step.sequence).second || step.tokens.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "sequence ", step.sequence, " is not open, stands twice in the step or brings no token"));
    }
    for (const int32_t token : step.tokens) {
      if (token < 0 || token >= blueprint.vocab_size) {
        return absl::InvalidArgumentError(
            absl::StrCat("token id ", token, " is outside the vocabulary of ", blueprint.vocab_size,
                         "; encode with the tokenizer of this checkpoint"));
      }
    }
    const int64_t count = static_cast<int64_t>(step.tokens.size());
    if (kv.Length(step.sequence) + count > blueprint.context) {
      return absl::OutOfRangeError(absl::StrCat("sequence ", step.sequence, " would grow past the ",
                                                blueprint.context, " tokens of the context"));
    }
    tokens += count;
    blocks += kv.BlocksMissing(step.sequence, count);
  }
  if (tokens > max_step_tokens) {
    return absl::InvalidArgumentError(absl::StrCat("a step of ", tokens, " tokens exceeds the ",
                                                   max_step_tokens,
                                                   " that the engine is built for"));
  }
  if (blocks > kv.usage().free_blocks) {
    return absl::ResourceExhaustedError(absl::StrCat("the step needs ", blocks, " more KV blocks, ",
                                                     kv.usage().free_blocks,
                                                     " are free; close a sequence or step fewer"));
  }
  for (const SequenceStep& step : steps) {
    FLOE_RETURN_IF_ERROR(kv.Reserve(step.sequence, static_cast<int64_t>(step.tokens.size())));
  }
  return absl::OkStatus();
}

}  // namespace floe::inference
