#include "services/retrieval/evaluate.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "gateway/context/context.h"
#include "tokenizer/chat_template.h"

namespace floe::retrieval {
namespace {

using tokenizer::TokenId;

constexpr size_t kMaxAnswerBytes = 16 << 10;

absl::Status Check(const Evaluation& evaluation) {
  if (evaluation.questions.empty() || evaluation.questions.size() > kMaxQuestions) {
    return absl::InvalidArgumentError(absl::StrCat("questions has ", evaluation.questions.size(),
                                                   " entries; send 1 to ", kMaxQuestions));
  }
  for (size_t i = 0; i < evaluation.questions.size(); ++i) {
    const Question& one = evaluation.questions[i];
    const std::string of = absl::StrCat("questions[", i, "]");
    FLOE_RETURN_IF_ERROR(CheckText(of + ".question", one.question, kMaxQueryBytes));
    FLOE_RETURN_IF_ERROR(CheckText(of + ".answer", one.answer, kMaxAnswerBytes));
    if (one.question.empty() || one.answer.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(of, " needs a question and an answer"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TokenId>> PromptIds(const EmbeddingModel& model, PromptKind kind,
                                               const std::string& text) {
  if (kind == PromptKind::kText) return model.tokenizer->Encode(text + "\n");
  if (!model.chat.ok()) return model.chat.status();
  const tokenizer::ChatMessage message{"user", text};
  return model.chat->Render(*model.tokenizer, {&message, 1});
}

// The prompt of as many passages as fit, with the answer behind; the others leave `passages`.
absl::StatusOr<ScoredSequence> SequenceOf(const EmbeddingModel& model, PromptKind kind,
                                          const Question& question,
                                          std::vector<Passage>& passages) {
  const std::vector<TokenId> answer = model.tokenizer->Encode(question.answer);
  while (true) {
    std::vector<std::string> texts;
    for (const Passage& passage : passages) texts.push_back(passage.chunk.text);
    FLOE_ASSIGN_OR_RETURN(std::vector<TokenId> ids,
                          PromptIds(model, kind, gateway::WithPassages(texts, question.question)));
    if (static_cast<int64_t>(ids.size() + answer.size()) <= model.context) {
      const int from = static_cast<int>(ids.size());
      ids.insert(ids.end(), answer.begin(), answer.end());
      return ScoredSequence{std::move(ids), from};
    }
    if (passages.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("a question and its answer have ", ids.size() + answer.size(),
                       " tokens, and the model's context is ", model.context, "; shorten them"));
    }
    passages.pop_back();
  }
}

}  // namespace

absl::StatusOr<EvaluationResult> Evaluate::Run(const Caller& caller, const Evaluation& evaluation,
                                               const std::function<absl::Status()>& go_on) {
  FLOE_RETURN_IF_ERROR(Check(evaluation));
  FLOE_ASSIGN_OR_RETURN(const EmbeddingModel model, models_.Resolve(caller, evaluation.model));
  EvaluationResult result;
  result.model_digest = model.digest;
  std::vector<ScoredSequence> sequences;  // without and with, question by question
  for (size_t i = 0; i < evaluation.questions.size(); ++i) {
    FLOE_RETURN_IF_ERROR(go_on());
    const Question& question = evaluation.questions[i];
    FLOE_ASSIGN_OR_RETURN(Found found, search_.Run(caller, evaluation.collection, question.question,
                                                   evaluation.top_k));
    std::vector<Passage> none;
    for (std::vector<Passage>* passages : {&none, &found.passages}) {
      auto sequence = SequenceOf(model, evaluation.prompt, question, *passages);
      if (absl::IsInvalidArgument(sequence.status())) {
        return absl::InvalidArgumentError(
            absl::StrCat("questions[", i, "]: ", sequence.status().message()));
      }
      FLOE_RETURN_IF_ERROR(sequence.status());
      sequences.push_back(*std::move(sequence));
    }
    AnswerScore score;
    score.answer_tokens =
        static_cast<int>(sequences.back().ids.size()) - sequences.back().score_from;
    score.passages = std::move(found.passages);
    result.scores.push_back(std::move(score));
  }
  FLOE_ASSIGN_OR_RETURN(const std::vector<double> sums,
                        workers_.Score(caller, model.digest, sequences));
  for (size_t i = 0; i < result.scores.size(); ++i) {
    result.scores[i].without = sums[2 * i];
    result.scores[i].with = sums[2 * i + 1];
  }
  return result;
}

}  // namespace floe::retrieval
