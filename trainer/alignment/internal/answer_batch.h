// A padded batch of which only the answers go through the head: a few of its tokens, while the head
// is a large part of a small model.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/alignment/rendered.h"
#include "trainer/internal/transformer.h"

namespace floe::trainer {

struct AnswerBatch {
  at::Tensor ids;                 // [B, T] int64
  at::Tensor rows;                // [A] int64: which of the B * T tokens an answer's id follows
  at::Tensor targets;             // [A] int64: that id
  std::vector<int64_t> sequence;  // [A]: the text that it belongs to
};
AnswerBatch MakeAnswerBatch(const PaddedBatch& padded);

// [A, D].
at::Tensor HiddenOfAnswers(const Transformer& transformer, const AnswerBatch& batch);

// Sums over the texts that a run learns from.
struct TextCounts {
  int64_t texts = 0;
  int64_t tokens = 0;
  int64_t answer_tokens = 0;

  void Add(const Rendered& text);
};
// Operations that a token of them costs on average: three times the forward pass, a token attending
// to half its text, the head computed for answers alone.
double AlignmentFlopsPerToken(const model::Blueprint& blueprint, const TextCounts& counts);

}  // namespace floe::trainer
