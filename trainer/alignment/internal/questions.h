// Questions that a model in training answers before and after, to see what it has learnt.
#pragma once

#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"
#include "trainer/alignment/aligner.h"
#include "trainer/internal/transformer.h"

namespace floe::trainer {

// Borrows its arguments.
class Questions {
 public:
  Questions(const tokenizer::Tokenizer& tokenizer, const std::vector<Question>& questions)
      : tokenizer_(tokenizer), questions_(questions) {}

  // Tells "before: <question> -> <the likeliest answer>" for each.
  void Tell(const Transformer& transformer, TrainingObserver& observer,
            std::string_view when) const;

 private:
  const tokenizer::Tokenizer& tokenizer_;
  const std::vector<Question>& questions_;
};

// Operations a token of a run over texts of `tokens` ids in `texts` texts: three times the forward
// pass, a token attending to half its text on average.
double AlignmentFlopsPerToken(const model::Blueprint& blueprint, int64_t tokens, int64_t texts);

}  // namespace floe::trainer
