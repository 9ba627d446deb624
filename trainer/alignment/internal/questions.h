// Questions that a model in training answers before, on the way and after, to see what it learns.
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
  Questions(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatTemplate& chat,
            const std::vector<Question>& questions)
      : tokenizer_(tokenizer), chat_(chat), questions_(questions) {}

  // Tells "before: <the question's last line> -> <an answer>" for each, with `when` for before; the
  // same for the same weights.
  void Tell(const Transformer& transformer, TrainingObserver& observer,
            std::string_view when) const;

 private:
  const tokenizer::Tokenizer& tokenizer_;
  const tokenizer::ChatTemplate& chat_;
  const std::vector<Question>& questions_;
};

}  // namespace floe::trainer
