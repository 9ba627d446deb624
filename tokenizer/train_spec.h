// The specification of a job of kind `tokenizer.train`, as people write it (YAML or JSON):
//
//   name: wordnet-4k              # the tokenizer to make
//   dataset: wordnet              # dataset id or resource name, optionally @sha256:<digest>
//   vocab_size: 4096              # bytes, merges and special tokens together
//   pattern: qwen2                # gpt2, cl100k, qwen2, o200k
//   special_tokens: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
//   max_memory_mb: 8192           # a text with more different pieces than that holds is refused
//
// The last four have these defaults.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "tokenizer/trainer.h"

namespace floe::tokenizer {

inline constexpr std::string_view kTrainJobKind = "tokenizer.train";

struct TrainSpec {
  std::string name;
  std::string dataset;
  TrainOptions options;  // vocab_size, pattern, special_tokens and max_memory_bytes
};

// INVALID_ARGUMENT names the line and what is wrong there: unknown or repeated keys, wrong types,
// values that cannot work.
absl::StatusOr<TrainSpec> ParseTrainSpec(std::string_view text);

// The same specification with every default filled in, as one line of JSON.
std::string TrainSpecJson(const TrainSpec& spec);

}  // namespace floe::tokenizer
