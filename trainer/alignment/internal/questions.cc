#include "trainer/alignment/internal/questions.h"

#include "absl/strings/str_cat.h"

#include "base/view.h"
#include "tokenizer/chat_template.h"
#include "trainer/internal/sample_text.h"

namespace floe::trainer {
namespace {

// The question itself, which stands behind what it is asked about.
std::string Shown(const std::string& question) {
  const size_t last = question.rfind('\n');
  return last == std::string::npos ? question : absl::StrCat("… ", question.substr(last + 1));
}

}  // namespace

void Questions::Tell(const Transformer& transformer, TrainingObserver& observer,
                     std::string_view when) const {
  std::vector<tokenizer::TokenId> ends;
  for (const std::string_view name : {tokenizer::kMessageEnd, tokenizer::kEndOfText}) {
    if (const auto id = tokenizer_.SpecialId(name)) ends.push_back(*id);
  }
  // Nearly greedy: the likeliest token alone runs in circles on small models.
  const SampleOptions sampling{.temperature = 0.4};
  for (const Question& question : questions_) {
    const auto prompt = chat_.Render(tokenizer_, question.prompt);
    auto answer = prompt.ok() ? ContinueIds(transformer, tokenizer_, *prompt, ends, sampling)
                              : absl::StatusOr<std::string>(prompt.status());
    if (!answer.ok()) {
      observer.OnLine(LineLevel::kWarning, StdView(answer.status().message()));
      continue;
    }
    observer.OnLine(
        LineLevel::kSample,
        absl::StrCat(AbslView(when), ": ", Shown(question.prompt.back().content), " -> ", *answer));
  }
}

}  // namespace floe::trainer
