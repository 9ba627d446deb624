#include "trainer/evaluation/evaluate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/chat_template.h"
#include "trainer/alignment/rendered.h"

namespace floe::trainer {
namespace {

// One text to score, and which of the ids behind score_from count.
struct Text {
  std::vector<tokenizer::TokenId> ids;
  int64_t score_from = 1;
  std::vector<bool> counts;  // beside each id from score_from on; empty: all
};

struct TextScore {
  double log_probability = 0;  // of the ids that count
  int64_t tokens = 0;
  int64_t greedy = 0;  // of them, the likeliest at their place
};

TextScore ScoreOf(const Text& text, const ScoreAnswer& answer) {
  TextScore score;
  for (size_t i = 0; i < answer.log_probabilities.size(); ++i) {
    if (!text.counts.empty() && !text.counts[i]) continue;
    score.log_probability += answer.log_probabilities[i];
    score.tokens += 1;
    score.greedy += answer.greedy[i] ? 1 : 0;
  }
  return score;
}

// All texts' scores, asked for in batches.
absl::StatusOr<std::vector<TextScore>> ScoreAll(const EvaluationModel& model,
                                                const std::vector<Text>& texts,
                                                const EvaluationOptions& options) {
  std::vector<TextScore> scores;
  const auto size = static_cast<size_t>(std::max<int64_t>(1, options.batch_size));
  for (size_t first = 0; first < texts.size(); first += size) {
    if (options.stop.stop_requested()) return absl::CancelledError("the evaluation was stopped");
    std::vector<ScoreQuery> queries;
    for (size_t i = first; i < std::min(first + size, texts.size()); ++i) {
      queries.push_back({texts[i].ids, texts[i].score_from});
    }
    FLOE_ASSIGN_OR_RETURN(const std::vector<ScoreAnswer> answers, model.scorer.Score(queries));
    if (answers.size() != queries.size()) {
      return absl::InternalError(absl::StrCat("the scorer gave ", answers.size(), " answers to ",
                                              queries.size(), " queries"));
    }
    for (size_t i = 0; i < answers.size(); ++i) {
      const Text& text = texts[first + i];
      const size_t expected = text.ids.size() - static_cast<size_t>(text.score_from);
      if (answers[i].log_probabilities.size() != expected || answers[i].greedy.size() != expected) {
        return absl::InternalError("the scorer gave another number of scores than ids");
      }
      scores.push_back(ScoreOf(text, answers[i]));
      if (!std::isfinite(scores.back().log_probability)) {
        return absl::DataLossError(
            "a score is no finite number: the checkpoint's weights are damaged or diverged");
      }
    }
    if (options.on_progress) {
      options.on_progress(static_cast<int64_t>(scores.size()), static_cast<int64_t>(texts.size()));
    }
  }
  return scores;
}

// From the first answer on; ids before it have no score and need none.
Text TextOf(Rendered rendered) {
  Text text;
  const auto first = std::find(rendered.answer.begin(), rendered.answer.end(), true);
  text.score_from = std::max<int64_t>(1, first - rendered.answer.begin());
  text.counts.assign(rendered.answer.begin() + text.score_from, rendered.answer.end());
  // Nothing that counts stands behind the last answer.
  while (!text.counts.empty() && !text.counts.back()) {
    text.counts.pop_back();
    rendered.ids.pop_back();
  }
  text.ids = std::move(rendered.ids);
  return text;
}

// A prompt and an answer to it, which alone counts.
absl::StatusOr<Text> AnswerText(const EvaluationModel& model, std::span<const ChatMessage> prompt,
                                const std::string& answer, int64_t line) {
  auto rendered = RenderAnswer(model.tokenizer, model.chat, prompt, answer);
  if (!rendered.ok()) {
    return absl::Status(rendered.status().code(),
                        absl::StrCat("line ", line, ": ", rendered.status().message()));
  }
  Text text = TextOf(*std::move(rendered));
  if (static_cast<int64_t>(text.ids.size()) <= model.context) return text;
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": the text has ", text.ids.size(),
                                                 " tokens, more than the model's context of ",
                                                 model.context, "; shorten it"));
}

int64_t TokensOf(const std::vector<TextScore>& scores) {
  int64_t tokens = 0;
  for (const TextScore& score : scores) tokens += score.tokens;
  return tokens;
}

double Share(double part, int64_t whole) {
  return whole == 0 ? 0 : part / static_cast<double>(whole);
}

double PerToken(const TextScore& score) { return Share(score.log_probability, score.tokens); }

// The windows of a document: each id is scored once, behind as many of the ids before it as the
// window holds.
void AddWindows(std::vector<tokenizer::TokenId> ids, int64_t context, std::vector<Text>& texts) {
  const auto step = static_cast<size_t>(context - 1);
  for (size_t first = 0; first + 1 < ids.size(); first += step) {
    const size_t last = std::min(first + step + 1, ids.size());
    texts.push_back({{ids.begin() + static_cast<std::ptrdiff_t>(first),
                      ids.begin() + static_cast<std::ptrdiff_t>(last)},
                     1,
                     {}});
  }
}

}  // namespace

absl::StatusOr<EvaluationResult> EvaluateDocuments(const EvaluationModel& model,
                                                   std::string_view file,
                                                   tokenizer::TextFormat format,
                                                   const EvaluationOptions& options) {
  const auto separator = model.tokenizer.SpecialId(tokenizer::kEndOfText);
  if (!separator) {
    return absl::FailedPreconditionError(absl::StrCat("the tokenizer has no ",
                                                      AbslView(tokenizer::kEndOfText),
                                                      ", behind which documents are scored"));
  }
  if (model.context < 2) return absl::InvalidArgumentError("the model's context is below 2");
  EvaluationResult result;
  int64_t bytes = 0;
  std::vector<Text> texts;
  FLOE_RETURN_IF_ERROR(tokenizer::ForEachDocument(file, format, [&](std::string_view document) {
    std::vector<tokenizer::TokenId> ids = {*separator};
    model.tokenizer.EncodeTo(document, ids);
    AddWindows(std::move(ids), model.context, texts);
    bytes += static_cast<int64_t>(document.size());
    ++result.examples;
    return absl::OkStatus();
  }));
  FLOE_ASSIGN_OR_RETURN(const std::vector<TextScore> scores, ScoreAll(model, texts, options));
  double sum = 0;
  for (const TextScore& score : scores) sum += score.log_probability;
  result.tokens = TokensOf(scores);
  const double loss = -Share(sum, result.tokens);
  result.metrics = {{"loss", loss},
                    {"perplexity", std::exp(loss)},
                    {"bits_per_byte", -Share(sum, bytes) / std::log(2.0)}};
  return result;
}

absl::StatusOr<EvaluationResult> EvaluateChats(const EvaluationModel& model,
                                               std::span<const ChatExample> examples,
                                               const EvaluationOptions& options) {
  FLOE_ASSIGN_OR_RETURN(
      RenderedData<Rendered> data,
      RenderChats(model.tokenizer, examples, {.max_tokens = model.context, .chat = model.chat}));
  std::vector<Text> texts;
  for (Rendered& rendered : data.examples) texts.push_back(TextOf(std::move(rendered)));
  FLOE_ASSIGN_OR_RETURN(const std::vector<TextScore> scores, ScoreAll(model, texts, options));
  double sum = 0;
  int64_t greedy = 0, exact = 0;
  for (const TextScore& score : scores) {
    sum += score.log_probability;
    greedy += score.greedy;
    exact += score.greedy == score.tokens ? 1 : 0;
  }
  EvaluationResult result;
  result.examples = static_cast<int64_t>(examples.size());
  result.tokens = TokensOf(scores);
  const double loss = -Share(sum, result.tokens);
  result.metrics = {{"answer_loss", loss},
                    {"answer_perplexity", std::exp(loss)},
                    {"token_accuracy", Share(static_cast<double>(greedy), result.tokens)},
                    {"exact_match", Share(static_cast<double>(exact), result.examples)}};
  return result;
}

absl::StatusOr<EvaluationResult> EvaluatePreferences(const EvaluationModel& model,
                                                     std::span<const PreferencePair> pairs,
                                                     const EvaluationOptions& options) {
  std::vector<Text> texts;
  for (const PreferencePair& pair : pairs) {
    for (const std::string* answer : {&pair.chosen, &pair.rejected}) {
      FLOE_ASSIGN_OR_RETURN(Text text, AnswerText(model, pair.prompt, *answer, pair.line));
      texts.push_back(std::move(text));
    }
  }
  FLOE_ASSIGN_OR_RETURN(const std::vector<TextScore> scores, ScoreAll(model, texts, options));
  double margin = 0, margin_per_token = 0;
  int64_t right = 0, right_per_token = 0;
  for (size_t i = 0; i + 1 < scores.size(); i += 2) {
    const double whole = scores[i].log_probability - scores[i + 1].log_probability;
    const double per_token = PerToken(scores[i]) - PerToken(scores[i + 1]);
    margin += whole;
    margin_per_token += per_token;
    right += whole > 0 ? 1 : 0;
    right_per_token += per_token > 0 ? 1 : 0;
  }
  EvaluationResult result;
  result.examples = static_cast<int64_t>(pairs.size());
  result.tokens = TokensOf(scores);
  result.metrics = {{"preference_accuracy", Share(static_cast<double>(right), result.examples)},
                    {"preference_margin", Share(margin, result.examples)},
                    {"preference_accuracy_per_token",
                     Share(static_cast<double>(right_per_token), result.examples)},
                    {"preference_margin_per_token", Share(margin_per_token, result.examples)}};
  return result;
}

absl::StatusOr<EvaluationResult> EvaluateChoices(const EvaluationModel& model,
                                                 std::span<const ChoiceQuestion> questions,
                                                 const EvaluationOptions& options) {
  std::vector<Text> texts;
  for (const ChoiceQuestion& question : questions) {
    for (const std::string& choice : question.choices) {
      FLOE_ASSIGN_OR_RETURN(Text text, AnswerText(model, question.prompt, choice, question.line));
      texts.push_back(std::move(text));
    }
  }
  FLOE_ASSIGN_OR_RETURN(const std::vector<TextScore> scores, ScoreAll(model, texts, options));
  double likelihood = 0;
  int64_t right = 0, right_per_byte = 0;
  size_t at = 0;
  for (const ChoiceQuestion& question : questions) {
    // The first of equals, so that ties are no matter of order elsewhere.
    size_t best = 0, best_per_byte = 0;
    const auto per_byte = [&](size_t i) {
      return scores[at + i].log_probability / static_cast<double>(question.choices[i].size());
    };
    for (size_t i = 1; i < question.choices.size(); ++i) {
      if (scores[at + i].log_probability > scores[at + best].log_probability) best = i;
      if (per_byte(i) > per_byte(best_per_byte)) best_per_byte = i;
    }
    const auto answer = static_cast<size_t>(question.answer);
    right += best == answer ? 1 : 0;
    right_per_byte += best_per_byte == answer ? 1 : 0;
    likelihood += scores[at + answer].log_probability;
    at += question.choices.size();
  }
  EvaluationResult result;
  result.examples = static_cast<int64_t>(questions.size());
  result.tokens = TokensOf(scores);
  result.metrics = {
      {"accuracy", Share(static_cast<double>(right), result.examples)},
      {"accuracy_per_byte", Share(static_cast<double>(right_per_byte), result.examples)},
      {"answer_log_likelihood", Share(likelihood, result.examples)}};
  return result;
}

absl::StatusOr<std::string> EvaluationTask(std::string_view format) {
  if (tokenizer::TextFormatFromName(format)) return std::string("text");
  if (ChatFormatFromName(format)) return std::string(format);
  return absl::InvalidArgumentError(
      absl::StrCat("there is no evaluation on data of the format \"",
                   absl::CHexEscape(AbslView(format.substr(0, 40))),
                   "\"; known are text, jsonl, chat, preference, choices"));
}

absl::StatusOr<EvaluationResult> EvaluateFile(const EvaluationModel& model, std::string_view file,
                                              std::string_view format,
                                              const EvaluationOptions& options) {
  if (const auto text = tokenizer::TextFormatFromName(format)) {
    return EvaluateDocuments(model, file, *text, options);
  }
  FLOE_RETURN_IF_ERROR(EvaluationTask(format).status());
  switch (*ChatFormatFromName(format)) {
    case ChatFormat::kChat: {
      FLOE_ASSIGN_OR_RETURN(const auto examples, ParseChats(file));
      return EvaluateChats(model, examples, options);
    }
    case ChatFormat::kPreference: {
      FLOE_ASSIGN_OR_RETURN(const auto pairs, ParsePreferences(file));
      return EvaluatePreferences(model, pairs, options);
    }
    case ChatFormat::kChoices: {
      FLOE_ASSIGN_OR_RETURN(const auto questions, ParseChoices(file));
      return EvaluateChoices(model, questions, options);
    }
  }
  return absl::InternalError("no such format");
}

}  // namespace floe::trainer
