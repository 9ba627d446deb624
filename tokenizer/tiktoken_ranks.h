// Rank files as tiktoken has them: a line a token, its bytes in base64, a space, its rank; rank and
// id are one. Source: openai/tiktoken, load.py; the special tokens of its encodings as
// openai_public.py has them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "tokenizer/vocabulary.h"

namespace floe::tokenizer {

struct RankFileOptions {
  Pattern pattern = Pattern::kCl100k;
  std::vector<AddedToken> special;  // by ascending id
};

// What a published encoding adds to its rank file: gpt2 (r50k_base), p50k_base, cl100k_base,
// o200k_base; llama3 (Llama 3's own file; meta-llama/llama3, tokenizer.py, has the special tokens).
// INVALID_ARGUMENT lists those that are known.
absl::StatusOr<RankFileOptions> PublishedEncoding(std::string_view name);

// A vocabulary that encodes as tiktoken does: a piece that is a token is that token; otherwise the
// neighbours whose bytes put together have the lowest rank are joined, the leftmost of equals.
// INVALID_ARGUMENT names the line that is cut off, not base64, no number, or repeats a token or an
// id; else as ValidateVocabulary says.
absl::StatusOr<Vocabulary> ParseTiktokenRanks(std::string_view file,
                                              const RankFileOptions& options);

}  // namespace floe::tokenizer
