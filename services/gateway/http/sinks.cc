#include "services/gateway/http/sinks.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "gateway/settlement.h"
#include "services/gateway/clients/handoff.h"

namespace floe::gateway {
namespace {

// Writing this many takes about a millisecond.
constexpr size_t kInlineNumbers = 8 << 10;

void AppendEvent(std::string& out, std::string_view data) {
  out.append("data: ").append(data).append("\n\n");
}

// How the piece's answer ended with it; a lone answer says so in the finish of all.
std::optional<FinishReason> ReasonOf(const Piece& piece) {
  if (piece.ended || !piece.finish) return piece.ended;
  return piece.finish->reason;
}

// As OpenAI's API tells its limits.
void AddLevel(const std::string& what, const limits::Level& level, HttpHead& head) {
  if (level.limit == 0) return;
  head.headers.emplace_back("x-ratelimit-limit-" + what, absl::StrCat(level.limit));
  head.headers.emplace_back("x-ratelimit-remaining-" + what, absl::StrCat(level.remaining));
  head.headers.emplace_back("x-ratelimit-reset-" + what, limits::ResetText(level.reset));
}

}  // namespace

openai::AnswerFacts FactsOf(const Request& request) {
  openai::AnswerFacts facts;
  facts.request_id = request.id;
  facts.chat = request.ask.is_chat();
  facts.include_usage = request.ask.include_usage;
  facts.logprobs = request.ask.logprobs.has_value();
  facts.created = request.arrived;
  facts.model = request.ask.model;
  facts.digest = request.model.digest;
  facts.version = request.model.version;
  facts.tier = request.ask.tier;
  facts.seed = request.ask.sampling.seed.value_or(0);
  facts.trace_id = request.trace_id;
  if (request.policy != nullptr) facts.policy = request.policy->digest();
  facts.cache = CacheUseName(request.cache);
  facts.usage_id = request.usage_id;
  return facts;
}

openai::AnswerOutcome OutcomeOf(const Request& request) {
  openai::AnswerOutcome outcome{.times = request.times};
  for (const GuardFinding& found : request.findings) {
    openai::GuardrailNote note{found.finding.rule,
                               std::string(guardrails::ActionName(found.finding.action)),
                               std::string(DirectionName(found.direction)), 1};
    const auto same =
        std::find_if(outcome.guardrails.begin(), outcome.guardrails.end(), [&](const auto& other) {
          return other.rule == note.rule && other.action == note.action &&
                 other.direction == note.direction;
        });
    if (same == outcome.guardrails.end()) {
      outcome.guardrails.push_back(std::move(note));
    } else {
      ++same->count;
    }
  }
  if (request.retrieved) {
    outcome.collection = request.retrieved->collection;
    outcome.retrieval_usage_id = request.retrieved->usage_id;
    for (const Retrieved::Citation& one : request.retrieved->citations) {
      outcome.citations.push_back({one.document, one.begin, one.end, one.score});
    }
  }
  outcome.cached_tokens = ChargedQuantities(request).cached_input_tokens;
  if (request.prices == nullptr) return outcome;
  outcome.cost.amount = request.cost.dollars;
  outcome.cost.price_book = request.prices->name();
  for (const CostLine& line : request.cost.lines) {
    outcome.cost.lines.push_back({line.kind, line.quantity, line.unit_price, line.amount});
  }
  return outcome;
}

HttpHead HeadFor(const Request& request, int status) {
  HttpHead head;
  head.status = status;
  head.headers.emplace_back("X-Request-Id", request.id);
  if (request.reservation) head.headers.emplace_back("X-Floe-Usage-Id", request.usage_id);
  // A stream's head is out before its cost is known; it is in the last chunk.
  if (!request.cost.dollars.empty()) {
    head.headers.emplace_back("X-Floe-Cost", request.cost.dollars);
  }
  if (!request.times.empty()) {
    head.headers.emplace_back("Server-Timing", openai::ServerTiming(request.times));
  }
  if (!request.ask.ignored.empty()) {
    head.headers.emplace_back("X-Floe-Ignored-Fields", absl::StrJoin(request.ask.ignored, ", "));
  }
  AddLevel("requests", request.limits.requests, head);
  AddLevel("tokens", request.limits.tokens, head);
  if (request.cache != CacheUse::kOff) {
    head.headers.emplace_back("X-Floe-Cache", CacheUseName(request.cache));
  }
  return head;
}

Awaitable<absl::Status> WholeSink::Write(const Request& request, const Piece& piece) {
  answers_.resize(static_cast<size_t>(request.ask.answers_given()));
  openai::AnswerText& answer = answers_[static_cast<size_t>(piece.choice)];
  answer.text += piece.text;
  answer.logprobs.insert(answer.logprobs.end(), piece.logprobs.begin(), piece.logprobs.end());
  answer.calls.insert(answer.calls.end(), piece.calls.begin(), piece.calls.end());
  if (const auto reason = ReasonOf(piece)) answer.reason = *reason;
  if (!piece.finish) co_return absl::OkStatus();
  const openai::AnswerFormat format(FactsOf(request));
  std::string body = format.Whole(answers_, *piece.finish, OutcomeOf(request));
  HttpHead head = HeadFor(request, 200);
  co_return co_await reply_.Send(std::move(head), std::move(body));
}

Awaitable<absl::Status> VectorSink::Write(const Request& request, const Piece& piece) {
  // The copy is the work's own: a client that leaves does not wait for it.
  auto work = [facts = FactsOf(request), outcome = OutcomeOf(request), finish = *piece.finish,
               base64 = request.ask.embedding->base64, vectors = request.vectors] {
    return openai::EmbeddingsObject(facts, vectors, base64, finish, outcome);
  };
  const size_t numbers =
      request.vectors.empty() ? 0 : request.vectors.size() * request.vectors[0].size();
  std::string body;
  if (numbers <= kInlineNumbers) {
    body = work();
  } else {
    body = co_await RunOn(pool_, std::move(work));
  }
  HttpHead head = HeadFor(request, 200);
  co_return co_await reply_.Send(std::move(head), std::move(body));
}

Awaitable<absl::Status> EventSink::Write(const Request& request, const Piece& piece) {
  std::string data;
  const bool first = !format_.has_value();
  if (first) {
    format_.emplace(FactsOf(request));
    for (int32_t choice = 0; choice < request.ask.answers_given(); ++choice) {
      const std::string opening = format_->Opening(choice);
      if (!opening.empty()) AppendEvent(data, opening);
    }
  }
  if (!piece.text.empty() || !piece.logprobs.empty()) {
    AppendEvent(data, format_->Delta(piece.choice, {piece.text, piece.logprobs}));
  }
  if (!piece.calls.empty()) AppendEvent(data, format_->Calls(piece.choice, piece.calls));
  const std::optional<FinishReason> reason = ReasonOf(piece);
  if (reason && !piece.finish) AppendEvent(data, format_->Ending(piece.choice, *reason));
  if (piece.finish) {
    const openai::AnswerOutcome outcome = OutcomeOf(request);
    AppendEvent(data, format_->Closing(piece.choice, *reason, *piece.finish, outcome));
    if (request.ask.include_usage) AppendEvent(data, format_->Usage(*piece.finish, outcome));
    AppendEvent(data, "[DONE]");
  }
  if (first) {
    HttpHead head = HeadFor(request, 200);
    head.content_type = "text/event-stream; charset=utf-8";
    head.headers.emplace_back("Cache-Control", "no-cache");
    head.headers.emplace_back("X-Accel-Buffering", "no");  // proxies must not collect the events
    const absl::Status begun = co_await reply_.BeginStream(std::move(head), std::move(data));
    if (!begun.ok() || !piece.finish) co_return begun;
    co_return co_await reply_.EndStream("");
  }
  if (piece.finish) co_return co_await reply_.EndStream(std::move(data));
  co_return co_await reply_.SendPiece(std::move(data));
}

Awaitable<absl::Status> EventSink::Fail(const std::string& error_body) {
  std::string data;
  AppendEvent(data, error_body);
  co_return co_await reply_.EndStream(std::move(data));
}

}  // namespace floe::gateway
