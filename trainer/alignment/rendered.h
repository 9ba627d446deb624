// Chat data as token ids with the answer marked, and as batches of equal length.
//
// Pure, thread-safe; no torch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"
#include "trainer/alignment/chat_data.h"

namespace floe::trainer {

// One text in ChatML.
struct Rendered {
  std::vector<tokenizer::TokenId> ids;
  std::vector<bool> answer;  // beside each id: learnt from, and scored
  int64_t line = 0;

  int64_t answer_tokens() const;
};

struct RenderedPair {
  Rendered chosen;
  Rendered rejected;
};

// What happens to a text of more than max_tokens ids.
enum class TooLong { kRefuse, kSkip };

struct RenderLimits {
  int64_t max_tokens = 0;
  TooLong too_long = TooLong::kRefuse;
  tokenizer::ChatTemplate chat;  // the model's; ChatML by default
};

template <typename T>
struct RenderedData {
  std::vector<T> examples;
  int64_t skipped = 0;  // too long
};

// Errors: INVALID_ARGUMENT naming the line (a role, or a text that is too long);
// FAILED_PRECONDITION when the tokenizer cannot render the template, when the template does not say
// what the assistant writes, or when every text was skipped.
absl::StatusOr<RenderedData<Rendered>> RenderChats(const tokenizer::Tokenizer& tokenizer,
                                                   std::span<const ChatExample> examples,
                                                   RenderLimits limits);
// Pairs of which one text is too long are skipped together.
absl::StatusOr<RenderedData<RenderedPair>> RenderPairs(const tokenizer::Tokenizer& tokenizer,
                                                       std::span<const PreferencePair> pairs,
                                                       RenderLimits limits);
// `prompt` and an answer to it, which alone is marked.
absl::StatusOr<Rendered> RenderAnswer(const tokenizer::Tokenizer& tokenizer,
                                      const tokenizer::ChatTemplate& chat_template,
                                      std::span<const ChatMessage> prompt,
                                      const std::string& answer);

// B sequences of T ids; what follows a sequence that is shorter counts nothing.
struct PaddedBatch {
  std::vector<int64_t> ids;      // [B * T]
  std::vector<int64_t> targets;  // [B * T]: the next id where it is an answer's, else -1
  int64_t sequences = 0;         // B
  int64_t length = 0;            // T, the longest
  int64_t answer_tokens = 0;     // targets that count
};

// INVALID_ARGUMENT naming the lines when the mask is all zero (nothing would be learnt) or all one
// (the questions would be learnt as well): both are signs of data or a template gone wrong.
absl::StatusOr<PaddedBatch> PadBatch(std::span<const Rendered* const> texts);

}  // namespace floe::trainer
