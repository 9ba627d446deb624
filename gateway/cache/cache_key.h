// Which requests are the same. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gateway/ask.h"
#include "gateway/cache/answer_cache.h"

namespace floe::gateway::cache {

// Views and references live as long as the call.
struct KeyParts {
  std::string_view team;  // of one tenant: what keeps teams apart keeps tenants apart
  std::string_view policy_digest;
  std::string_view checkpoint_digest;
  std::string_view tokenizer_digest;
  const std::vector<uint32_t>& prompt_ids;  // of all prompts, one after the other
  const std::vector<size_t>& prompt_ends;   // where each of them ends
  const Sampling& sampling;                 // without a seed: any will do
  int64_t max_tokens = 0;
  const std::vector<std::string>& stop;
  const ResponseFormat& response_format;
};

// SHA-256 over the parts, each with its length before it, so that no two lists of parts read the
// same.
Key KeyOf(const KeyParts& parts);

}  // namespace floe::gateway::cache
