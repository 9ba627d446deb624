// What a worker gives: pieces of an answer, the last one with how it ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

#include "gateway/tools.h"

namespace floe::gateway {

enum class FinishReason {
  kStop,
  kLength,
  kContentFilter,  // an output rule ended it
  kToolCalls,      // it stopped by itself, and calls tools
};

// As OpenAI calls it: `content_filter`.
std::string_view FinishReasonName(FinishReason reason);

struct Finish {
  FinishReason reason = FinishReason::kStop;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;  // a final end-of-text id included
  std::string tier_met;  // the best tier, up to the requested one, whose latency target was met
  // By the worker's clock, from the request's arrival there.
  absl::Duration queue_time;
  absl::Duration time_to_first_token;
  absl::Duration total_time;
  std::string receipt;  // digest of the worker's own record of this; empty: it keeps none
};

struct TokenLogProb {
  std::string token;  // its bytes, which need not be whole characters
  float log_probability = 0;
};

// A token of the answer, or of an echoed prompt, and the likeliest at its place.
struct TokenLogProbs {
  uint32_t id = 0;
  TokenLogProb chosen;
  std::vector<TokenLogProb> top;  // best first
  bool in_text = true;            // its bytes are part of the text: it is no added token
  bool first = false;             // of a prompt: nothing says how likely it is
};

struct Piece {
  std::vector<uint32_t> ids;            // an id may come before its text
  std::vector<TokenLogProbs> logprobs;  // of `ids`, where they were asked for; none of a stop id
  // With the first piece, where they were asked for: those of all ids of the prompt.
  std::vector<TokenLogProbs> prompt_logprobs;
  std::string text;             // never half a character, never part of a stop text
  std::vector<ToolCall> calls;  // behind the text, each whole
  int64_t cached_prompt = 0;    // with a worker's first id: ids of the prompt that it had cached
  int32_t choice = 0;           // which of several answers
  std::optional<FinishReason> ended;  // the last of that answer
  std::optional<Finish> finish;       // the last of all
};

// How long a request stayed in a stage's Enter.
struct StageTime {
  std::string_view stage;  // a literal
  absl::Duration took;
};

}  // namespace floe::gateway
