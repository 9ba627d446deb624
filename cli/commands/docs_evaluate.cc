// floe docs evaluate
#include <algorithm>
#include <cmath>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/docs_commands.h"
#include "cli/commands/docs_files.h"
#include "cli/output/human.h"
#include "cli/output/table.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = retrieval::v1;
using Json = nlohmann::ordered_json;
using Stub = pb::RetrievalService::Stub;

constexpr absl::Duration kCallTime = absl::Minutes(10);
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 28;
constexpr int kBatchQuestions = 20;  // of one call

struct EvaluateFlags {
  std::string collection, file, model, prompt = "chat";
  int limit = 200;
  int top_k = 4;
};

// Sums over questions, of natural logarithms.
struct Totals {
  int questions = 0;
  int better = 0;
  int64_t tokens = 0;
  double without = 0;
  double with = 0;
};

Json TotalsJson(const Totals& totals) {
  const double tokens = std::max<double>(1, static_cast<double>(totals.tokens));
  return {{"questions", totals.questions},
          {"answer_tokens", totals.tokens},
          {"log_likelihood_without", totals.without},
          {"log_likelihood_with", totals.with},
          {"per_token_without", totals.without / tokens},
          {"per_token_with", totals.with / tokens},
          {"better_with", totals.better}};
}

absl::Status EvaluateQuestions(Session& session, const EvaluateFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(const std::string bytes,
                        ReadFile(session.folder / flags.file, kMaxFileBytes));
  auto questions = ReadQuestions(bytes);
  if (!questions.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(flags.file, ": ", questions.status().message()));
  }
  questions->resize(std::min(questions->size(), static_cast<size_t>(flags.limit)));
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::EvaluateCollectionRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_collection(),
                        session.ResourceName("collections", flags.collection));
  request.set_model(flags.model);
  request.set_top_k(flags.top_k);
  request.set_prompt(flags.prompt == "text" ? pb::EvaluateCollectionRequest::TEXT
                                            : pb::EvaluateCollectionRequest::CHAT);
  Totals totals;
  Json each = Json::array();
  for (size_t at = 0; at < questions->size();) {
    request.clear_questions();
    const size_t begin = at;
    while (at < questions->size() && request.questions_size() < kBatchQuestions) {
      auto& question = *request.add_questions();
      question.set_question((*questions)[at].question);
      question.set_answer((*questions)[at++].answer);
    }
    FLOE_ASSIGN_OR_RETURN(
        const pb::EvaluateCollectionResponse answer,
        door->Ask(door->retrieval(), &Stub::EvaluateCollection, request, "", kCallTime));
    for (int i = 0; i < answer.scores_size(); ++i) {
      const auto& score = answer.scores(i);
      ++totals.questions;
      totals.better += score.log_likelihood_with() > score.log_likelihood_without();
      totals.tokens += score.answer_tokens();
      totals.without += score.log_likelihood_without();
      totals.with += score.log_likelihood_with();
      Json passages = Json::array();
      for (const auto& passage : score.passages()) passages.push_back(ToJson(passage));
      each.push_back({{"question", (*questions)[begin + static_cast<size_t>(i)].question},
                      {"answer_tokens", score.answer_tokens()},
                      {"log_likelihood_without", score.log_likelihood_without()},
                      {"log_likelihood_with", score.log_likelihood_with()},
                      {"passages", passages}});
    }
    if (session.streams.err_is_terminal) {
      session.err() << "\r" << totals.questions << " of " << questions->size() << std::flush;
    }
  }
  if (session.streams.err_is_terminal) session.err() << "\r";
  Json json = TotalsJson(totals);
  if (session.json) {
    json["scores"] = each;
    session.PrintJson(json);
    return absl::OkStatus();
  }
  Table table({"", ">LOG-LIKELIHOOD", ">A TOKEN", ">PERPLEXITY"});
  const auto row = [&](const char* name, double sum, double per_token) {
    table.Add({name, absl::StrFormat("%.1f", sum), absl::StrFormat("%.3f", per_token),
               absl::StrFormat("%.1f", std::exp(-per_token))});
  };
  row("without passages", totals.without, json["per_token_without"]);
  row("with passages", totals.with, json["per_token_with"]);
  session.out() << table.Render() << HumanCount(totals.questions) << " questions, "
                << HumanCount(totals.tokens) << " answer tokens; " << totals.better
                << " answers became likelier\n";
  return absl::OkStatus();
}

}  // namespace

void AddEvaluateCommand(CommandLine& line, CLI::App& group) {
  auto& evaluate = line.Keep<EvaluateFlags>();
  CLI::App* command = AddCommand(
      group, "evaluate", "How likely a model finds known answers, with and without passages",
      "  floe docs evaluate words questions.jsonl --model lexicon\n\n"
      "{\"question\": …, \"answer\": …} a line. Every answer is scored behind the question alone "
      "and\nbehind the passages that are found for it.");
  command->add_option("collection", evaluate.collection, "The collection's id")->required();
  command->add_option("questions", evaluate.file, "A JSON Lines file")->required();
  command->add_option("--model", evaluate.model, "The model that answers")->required();
  command->add_option("--limit", evaluate.limit, "At most this many questions")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--top-k", evaluate.top_k, "Passages a question")->capture_default_str();
  command->add_option("--prompt", evaluate.prompt, "chat: the chat template; text: plain text")
      ->check(CLI::IsMember({"chat", "text"}))
      ->capture_default_str();
  line.OnRun(command,
             [&evaluate](Session& session) { return EvaluateQuestions(session, evaluate); });
}

}  // namespace floe::cli
