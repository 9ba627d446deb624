// Looks into frozen weights: nearest neighbours of embeddings, norms of what components write,
// where heads look, and the loss when the head reads the stream behind each layer.
//
// The numbers are a function of weights, text and seed. Pure but for LibTorch's threads; no torch
// type shows here.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "model/checkpoint.h"
#include "tokenizer/documents.h"
#include "tokenizer/tokenizer.h"
#include "trainer/inspection/report.h"

namespace floe::trainer {

inline constexpr int64_t kLeastInspectedTokens = 16;

// What the models read.
struct InspectionText {
  std::vector<int64_t> ids;  // below the vocabulary's size; at least kLeastInspectedTokens
  const tokenizer::Tokenizer& tokenizer;  // borrowed: shows tokens
  uint64_t seed = 1;                      // of the random tokens
};

// The first `max_tokens` ids of a dataset's documents, `<|endoftext|>` behind each where the
// tokenizer has it. Errors: those of ForEachDocument; INVALID_ARGUMENT when there are fewer than
// kLeastInspectedTokens.
absl::StatusOr<std::vector<int64_t>> InspectedIds(const tokenizer::Tokenizer& tokenizer,
                                                  std::string_view file,
                                                  tokenizer::TextFormat format, int64_t max_tokens);

// The subject is left empty. Errors: those of loading a checkpoint; INVALID_ARGUMENT for a text
// whose ids the model does not have; CANCELLED.
absl::StatusOr<Inspection> InspectCheckpoint(const model::Checkpoint& checkpoint,
                                             const InspectionText& text, std::stop_token stop);
// The weights that training with this seed starts from.
absl::StatusOr<Inspection> InspectFresh(const model::Blueprint& blueprint, uint64_t seed,
                                        const InspectionText& text, std::stop_token stop);

}  // namespace floe::trainer
