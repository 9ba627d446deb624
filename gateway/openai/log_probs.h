// How likely tokens were, in OpenAI's two shapes. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>

#include "gateway/generation.h"

namespace floe::gateway::openai {

// What JSON has instead of a probability of zero, as OpenAI's API.
inline constexpr float kLeastLogProb = -9999;

// Chats: {"content": [{token, logprob, bytes, top_logprobs}], "refusal": null}. Completions:
// {tokens, token_logprobs, top_logprobs, text_offset}, where `offset` is where the first token's
// text begins, in characters of the answer, and is moved to where the next one's will. The first
// token of an echoed prompt has null as its values.
nlohmann::ordered_json LogProbsOf(const std::vector<TokenLogProbs>& tokens, bool chat,
                                  int64_t& offset);

}  // namespace floe::gateway::openai
