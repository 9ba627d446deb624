#include "trainer/alignment/internal/questions.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/view.h"
#include "model/accounting.h"
#include "tokenizer/chat_template.h"
#include "trainer/internal/sample_text.h"

namespace floe::trainer {

void Questions::Tell(const Transformer& transformer, TrainingObserver& observer,
                     std::string_view when) const {
  std::vector<tokenizer::TokenId> ends;
  for (const std::string_view name : {tokenizer::kMessageEnd, tokenizer::kEndOfText}) {
    if (const auto id = tokenizer_.SpecialId(name)) ends.push_back(*id);
  }
  const SampleOptions greedy{.top_k = 1};
  for (const Question& question : questions_) {
    const auto prompt = tokenizer::RenderChat(tokenizer_, question.prompt);
    auto answer = prompt.ok() ? ContinueIds(transformer, tokenizer_, *prompt, ends, greedy)
                              : absl::StatusOr<std::string>(prompt.status());
    if (!answer.ok()) {
      observer.OnLine(LineLevel::kWarning, StdView(answer.status().message()));
      continue;
    }
    observer.OnLine(
        LineLevel::kSample,
        absl::StrCat(AbslView(when), ": ", question.prompt.back().content, " -> ", *answer));
  }
}

double AlignmentFlopsPerToken(const model::Blueprint& blueprint, int64_t tokens, int64_t texts) {
  const int64_t attended = std::max<int64_t>(1, tokens / std::max<int64_t>(1, texts) / 2);
  return 3.0 * static_cast<double>(model::ForwardFlopsPerToken(blueprint, attended));
}

}  // namespace floe::trainer
