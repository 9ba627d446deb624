// Text that a model in training writes, to see how it comes on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "tokenizer/tokenizer.h"
#include "trainer/internal/transformer.h"

namespace floe::trainer {

struct SampleOptions {
  int64_t max_tokens = 60;
  double temperature = 0.7;
  int64_t top_k = 40;
  uint64_t seed = 1;
};

// `prompt` and its continuation, up to `<|endoftext|>`; the same for the same weights and seed.
// UTF-8.
absl::StatusOr<std::string> SampleText(const Transformer& transformer,
                                       const tokenizer::Tokenizer& tokenizer,
                                       std::string_view prompt, const SampleOptions& options);

// What the model writes behind the ids `prompt`, which are not empty, up to one of `ends`.
absl::StatusOr<std::string> ContinueIds(const Transformer& transformer,
                                        const tokenizer::Tokenizer& tokenizer,
                                        const std::vector<tokenizer::TokenId>& prompt,
                                        const std::vector<tokenizer::TokenId>& ends,
                                        const SampleOptions& options);

}  // namespace floe::trainer
