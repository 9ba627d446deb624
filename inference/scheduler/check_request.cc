#include "inference/scheduler/check_request.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace floe::inference {

absl::Status CheckRequest(const Request& request, const model::Blueprint& blueprint,
                          const KvUsage& kv) {
  const int64_t prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt == 0) {
    return absl::InvalidArgumentError("the prompt has no ids; send at least one");
  }
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    if (request.prompt[i] < 0 || request.prompt[i] >= blueprint.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "id ", request.prompt[i], " at index ", i, " of the prompt is outside the vocabulary of ",
          blueprint.vocab_size, "; encode with the tokenizer of this checkpoint"));
    }
  }
  const bool scoring = request.score_from != 0;
  const bool generates = !scoring && !request.embed;
  const bool answers = generates && !(request.prompt_logprobs && request.max_tokens == 0);
  if (prompt > blueprint.context || (answers && prompt == blueprint.context)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the prompt has ", prompt, " tokens and the model's context is ", blueprint.context,
        "; shorten it", answers ? " to leave room for an answer" : ""));
  }
  if (scoring && (request.score_from < 1 || request.score_from >= prompt)) {
    return absl::InvalidArgumentError(
        absl::StrCat("score_from is ", request.score_from, "; it must lie in [1, ", prompt, ")"));
  }
  if (answers && request.max_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_tokens is ", request.max_tokens, "; it must be at least 1"));
  }
  if (request.dimensions < 0 || request.dimensions > blueprint.hidden_size) {
    return absl::InvalidArgumentError(absl::StrCat("dimensions is ", request.dimensions,
                                                   "; the model's vectors have ",
                                                   blueprint.hidden_size, " values"));
  }
  if (request.continued < 0 || request.continued >= prompt ||
      (!generates && request.continued > 0)) {
    return absl::InvalidArgumentError(absl::StrCat("continued_ids is ", request.continued,
                                                   " and the prompt has ", prompt,
                                                   " ids; at least one must be no answer"));
  }
  for (const LogitBias& bias : request.sampling.logit_bias) {
    if (bias.id >= 0 && bias.id < blueprint.vocab_size) continue;
    return absl::InvalidArgumentError(absl::StrCat("logit_bias names the id ", bias.id,
                                                   "; the vocabulary ends at ",
                                                   blueprint.vocab_size - 1));
  }
  if (!request.stop.empty() && request.text == nullptr) {
    return absl::InvalidArgumentError("stop texts need the checkpoint's tokenizer; use stop_ids");
  }
  const int64_t longest =
      answers ? prompt + std::min(request.max_tokens, blueprint.context - prompt) - 1 : prompt;
  const int64_t blocks = (longest + kv.block_tokens - 1) / kv.block_tokens;
  if (blocks > kv.total_blocks) {
    return absl::ResourceExhaustedError(
        absl::StrCat("prompt and max_tokens need ", blocks, " KV blocks, the worker has ",
                     kv.total_blocks, "; lower max_tokens or raise the worker's KV memory"));
  }
  return request.sampling.Validate();
}

}  // namespace floe::inference
