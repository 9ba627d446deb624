// What passages are worth to a model: the likelihood of right answers with and without them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "retrieval/search.h"
#include "services/retrieval/workers.h"

namespace floe::retrieval {

inline constexpr size_t kMaxQuestions = 32;  // of one call

struct Question {
  std::string question;
  std::string answer;
};

enum class PromptKind { kChat, kText };

struct Evaluation {
  CollectionName collection;
  std::string model;  // a reference of the caller's team
  std::vector<Question> questions;
  int top_k = 0;
  PromptKind prompt = PromptKind::kChat;
};

struct AnswerScore {
  int answer_tokens = 0;
  double without = 0;  // natural logarithms of the answer's probability
  double with = 0;
  std::vector<Passage> passages;  // those that were given
};

struct EvaluationResult {
  std::vector<AnswerScore> scores;  // in the order of the questions
  std::string model_digest;
};

// Thread-safe. Borrows its parts. The passages stand in front of the question as the gateway puts
// them (gateway/context); those that do not fit the model's context are left out, the last ones
// first.
class Evaluate {
 public:
  Evaluate(Search& search, EmbeddingModels& models, Workers& workers)
      : search_(search), models_(models), workers_(workers) {}

  // INVALID_ARGUMENT names the question that is wrong. `go_on` is asked between questions.
  absl::StatusOr<EvaluationResult> Run(const Caller& caller, const Evaluation& evaluation,
                                       const std::function<absl::Status()>& go_on);

 private:
  Search& search_;
  EmbeddingModels& models_;
  Workers& workers_;
};

}  // namespace floe::retrieval
