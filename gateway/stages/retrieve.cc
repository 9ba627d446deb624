#include "gateway/stages/retrieve.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "gateway/background.h"
#include "gateway/context/context.h"

namespace floe::gateway {
namespace {

// The longest question that is looked up; of a longer one its end, where people ask.
constexpr size_t kMaxQueryBytes = 16 << 10;
// What an answer of unknown length is left: this part of the context.
constexpr int64_t kAnswerShare = 4;

std::string QueryOf(std::string_view question) {
  if (question.size() <= kMaxQueryBytes) return std::string(question);
  question.remove_prefix(question.size() - kMaxQueryBytes);
  // A character's bytes stay together.
  while (!question.empty() && (static_cast<unsigned char>(question[0]) & 0xC0) == 0x80) {
    question.remove_prefix(1);
  }
  return std::string(question);
}

// What is to be looked up, and whether the client wants it.
RetrievalAsk WantedBy(const Request& request) {
  RetrievalAsk wanted = request.ask.retrieval;
  if (wanted.kind == RetrievalAsk::Kind::kByPolicy) {
    wanted.collection = request.rules->retrieval.collection;
    wanted.top_k = request.rules->retrieval.top_k;
  }
  return wanted;
}

absl::Status NoQuestion(const Request& request) {
  const size_t prompts = request.ask.prompts.size();
  std::string why = "floe.retrieval needs a prompt of text; this one is ids";
  if (request.ask.is_chat()) {
    why =
        "floe.retrieval looks up the user's last words, and the conversation's last message is not "
        "the user's";
  } else if (request.ask.tells_prompt()) {
    why =
        "floe.retrieval puts passages in front of the prompt, whose own tokens echo and logprobs "
        "ask "
        "for; leave out one of them";
  } else if (prompts > 1) {
    why = absl::StrCat("floe.retrieval looks up one question, and the request has ", prompts,
                       " prompts; send them one by one");
  }
  return WithReason(absl::InvalidArgumentError(why), "INVALID_VALUE",
                    {{"param", "floe.retrieval"}});
}

// In the client's terms: which field is wrong, or what is away.
absl::Status Told(const absl::Status& status, const std::string& collection) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return WithReason(
          absl::NotFoundError(absl::StrCat("your team has no collection `", collection,
                                           "`; `floe docs ls` lists those it has")),
          "COLLECTION_NOT_FOUND", {{"param", "floe.retrieval.collection"}});
    case absl::StatusCode::kUnavailable:
      return WithReason(absl::UnavailableError(
                            "documents cannot be searched at the moment; try again, or ask without "
                            "them (floe: {retrieval: \"off\"})"),
                        "RETRIEVAL_UNAVAILABLE");
    default:
      return status;
  }
}

int64_t LeftForPrompt(const Request& request) {
  const int64_t context = request.model.context;
  int64_t answer = context / kAnswerShare;
  if (request.rules->max_output_tokens > 0) {
    answer = std::min(answer, request.rules->max_output_tokens);
  }
  return context - std::min(context, request.ask.max_tokens.value_or(answer));
}

std::string WithFirst(size_t count, const std::vector<Passage>& passages,
                      const std::string& question) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < count; ++i) texts.push_back(passages[i].text);
  return WithPassages(texts, question);
}

}  // namespace

std::string* QuestionOf(std::vector<Prompt>& prompts) {
  if (prompts.size() != 1) return nullptr;
  Prompt& prompt = prompts[0];
  if (auto* text = std::get_if<std::string>(&prompt)) return text;
  auto* messages = std::get_if<std::vector<Message>>(&prompt);
  if (messages == nullptr || messages->empty() || messages->back().role != "user") return nullptr;
  return &messages->back().content;
}

std::vector<Passage> GuardPassages(const guardrails::RuleSet& rules, std::vector<Passage> passages,
                                   std::vector<GuardFinding>& findings) {
  if (rules.empty()) return passages;
  std::vector<Passage> passing;
  for (Passage& passage : passages) {
    guardrails::Verdict verdict = guardrails::Apply(rules, passage.text);
    for (guardrails::Finding& finding : verdict.findings) {
      findings.push_back({Direction::kRetrieved, std::move(finding)});
    }
    if (verdict.blocked) continue;
    passage.text = std::move(verdict.text);
    passing.push_back(std::move(passage));
  }
  return passing;
}

Awaitable<absl::Status> RetrieveStage::Enter(Request& request) {
  const RetrievalAsk wanted = WantedBy(request);
  if (wanted.kind == RetrievalAsk::Kind::kOff || wanted.collection.empty()) {
    co_return absl::OkStatus();
  }
  const std::string* question =
      request.ask.tells_prompt() ? nullptr : QuestionOf(request.ask.prompts);
  if (question == nullptr) {
    co_return wanted.kind == RetrievalAsk::Kind::kAsked ? NoQuestion(request) : absl::OkStatus();
  }
  const absl::Duration start = parts_.clock.Monotonic();
  absl::StatusOr<std::vector<Passage>> found = co_await parts_.retriever.Search(
      request.scope, wanted.collection, QueryOf(*question), wanted.top_k);
  if (!found.ok()) co_return Told(found.status(), wanted.collection);
  request.retrieved = Retrieved{.collection = wanted.collection,
                                .usage_id = request.usage_id + "-retrieval",
                                .took = parts_.clock.Monotonic() - start};
  size_t bytes = 0;
  for (const Passage& passage : *found) bytes += passage.text.size();
  auto work = [&request, passages = *std::move(found)]() mutable {
    return GuardPassages(request.rules->input, std::move(passages), request.findings);
  };
  std::vector<Passage> passing = co_await WorkOver(bytes, parts_.background, std::move(work));
  co_return co_await Insert(request, *question, std::move(passing));
}

Awaitable<absl::Status> RetrieveStage::Insert(Request& request, std::string question,
                                              std::vector<Passage> passages) {
  std::string* const place = QuestionOf(request.ask.prompts);
  const auto room = static_cast<size_t>(LeftForPrompt(request));
  // The most that fit: all of them as a rule, else found by halving.
  size_t fits = 0;
  size_t too_many = passages.size() + 1;
  for (size_t count = passages.size(); fits + 1 < too_many; count = (fits + too_many) / 2) {
    *place = WithFirst(count, passages, question);
    const absl::StatusOr<EncodedPrompt> encoded = co_await parts_.prompts.Encode(
        request.scope, request.model, request.ask.prompts[0], request.ask.tools);
    if (!encoded.ok()) co_return encoded.status();
    (encoded->ids.size() <= room ? fits : too_many) = count;
  }
  *place = WithFirst(fits, passages, question);
  for (size_t i = 0; i < fits; ++i) {
    const Passage& passage = passages[i];
    request.retrieved->citations.push_back(
        {passage.document, passage.begin, passage.end, passage.score});
  }
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
