// The fields that say how tokens are chosen, and what is told of them.
#pragma once

#include <optional>

#include "gateway/ask.h"
#include "gateway/openai/field_reader.h"

namespace floe::gateway::openai {

inline constexpr int64_t kMaxTopLogProbs = 20;  // as OpenAI's chats; completions too
inline constexpr int64_t kMaxChoices = 16;      // answers that one prompt may have made
inline constexpr int64_t kMaxAnswers = 128;     // and all prompts of one request together
inline constexpr size_t kMaxLogitBiases = 1024;

// temperature, top_p, min_p, top_k, seed, the penalties and logit_bias.
void ReadSampling(FieldReader& fields, Sampling& sampling);

// `logprobs` and `top_logprobs` of chats, the number `logprobs` of completions.
void ReadLogProbs(FieldReader& fields, bool chat, std::optional<LogProbsAsk>& wanted);
// `floe.logprobs`: of which distribution; `wanted` was read before.
void ReadLogProbsOf(FieldReader& floe, std::optional<LogProbsAsk>& wanted);

// `n`, and `best_of` of completions; `ask` knows its prompts and whether it is a stream.
void ReadChoices(FieldReader& fields, bool chat, Ask& ask);

// `max_cost`.
void ReadMaxCost(FieldReader& fields, Ask& ask);

// `echo` of completions; `ask` has its length, its logprobs and its form.
void ReadEcho(FieldReader& fields, Ask& ask);

}  // namespace floe::gateway::openai
