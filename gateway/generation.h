// What a worker gives: pieces of an answer, the last one with how it ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace floe::gateway {

enum class FinishReason {
  kStop,
  kLength,
  kContentFilter,  // an output rule ended it
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
};

struct Piece {
  std::vector<uint32_t> ids;  // an id may come before its text
  std::string text;           // never half a character, never part of a stop text
  int64_t cached_prompt = 0;  // with a worker's first id: ids of the prompt that it had cached
  std::optional<Finish> finish;
};

// How long a request stayed in a stage's Enter.
struct StageTime {
  std::string_view stage;  // a literal
  absl::Duration took;
};

}  // namespace floe::gateway
