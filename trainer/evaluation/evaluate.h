// How good a frozen model is on data that it was not trained on, scored through the port Scorer
// (trainer/ports.h) by the very engine that serves it.
//
// Four tasks, one a format of data, each with the metrics by their usual names:
//
//   text        perplexity, bits_per_byte, loss (nats a token); every document behind
//               <|endoftext|>, in windows of the context when it is longer
//   chat        answer_loss (nats an answer token), answer_perplexity, token_accuracy, exact_match
//               (share of answers that greedy decoding would give to the last token)
//   preference  preference_accuracy (log p(chosen) > log p(rejected)), preference_margin (their
//               mean difference in nats), and both a token of the answer: …_per_token
//   choices     accuracy (of the likeliest choice), accuracy_per_byte (log p divided by the bytes),
//               answer_log_likelihood (mean log p of the right choice, in nats)
//
// Texts are scored in their order and summed in that order, so the same scores of the engine give
// the same metrics at any batch size.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "tokenizer/chat_template.h"
#include "tokenizer/documents.h"
#include "tokenizer/tokenizer.h"
#include "trainer/alignment/chat_data.h"
#include "trainer/ports.h"

namespace floe::trainer {

// What scores, and how. Borrowed.
struct EvaluationModel {
  Scorer& scorer;
  const tokenizer::Tokenizer& tokenizer;
  int64_t context = 0;           // longest text in tokens
  tokenizer::ChatTemplate chat;  // how it reads chats
};

struct EvaluationOptions {
  int64_t batch_size = 32;                                       // texts a call of the scorer
  std::function<void(int64_t done, int64_t total)> on_progress;  // texts; from the calling thread
  std::stop_token stop;
};

struct EvaluationResult {
  std::map<std::string, double> metrics;
  int64_t examples = 0;
  int64_t tokens = 0;  // scored
};

// Errors: INVALID_ARGUMENT naming the line of a text that is longer than the context (but for
// documents), those of the scorer, CANCELLED. DATA_LOSS when a score is no finite number.
absl::StatusOr<EvaluationResult> EvaluateDocuments(const EvaluationModel& model,
                                                   std::string_view file,
                                                   tokenizer::TextFormat format,
                                                   const EvaluationOptions& options);
absl::StatusOr<EvaluationResult> EvaluateChats(const EvaluationModel& model,
                                               std::span<const ChatExample> examples,
                                               const EvaluationOptions& options);
absl::StatusOr<EvaluationResult> EvaluatePreferences(const EvaluationModel& model,
                                                     std::span<const PreferencePair> pairs,
                                                     const EvaluationOptions& options);
absl::StatusOr<EvaluationResult> EvaluateChoices(const EvaluationModel& model,
                                                 std::span<const ChoiceQuestion> questions,
                                                 const EvaluationOptions& options);

// The task that belongs to a dataset's format: "text" and "jsonl" are the task `text`, the others
// have its name. INVALID_ARGUMENT lists the formats.
absl::StatusOr<std::string> EvaluationTask(std::string_view format);
// Parses the file of a dataset of that format and evaluates it.
absl::StatusOr<EvaluationResult> EvaluateFile(const EvaluationModel& model, std::string_view file,
                                              std::string_view format,
                                              const EvaluationOptions& options);

}  // namespace floe::trainer
