#include "gateway/stages/guard_output.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "gateway/calling.h"
#include "gateway/choices.h"

namespace floe::gateway {
namespace {

using guardrails::Action;

absl::Status BreaksSchema(const absl::Status& why) {
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "the model's answer breaks response_format: ", why.message(),
                        "; ask again, with another seed, or describe the form in the prompt")),
                    "ANSWER_BREAKS_SCHEMA", {{"http_status", "422"}, {"param", "response_format"}});
}

// Of one answer. Borrows the request, of which it is a part.
class GuardedStream final : public TokenStream {
 public:
  GuardedStream(Request& request, std::unique_ptr<TokenStream> inner, size_t index)
      : request_(request),
        inner_(std::move(inner)),
        index_(index),
        prompt_(PromptIndex(request, index)),
        echo_(request.echoes.empty() ? "" : request.echoes[prompt_]),
        tells_echo_(request.ask.tells_prompt()),
        guard_(request.rules->output) {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    absl::StatusOr<Piece> piece = co_await inner_->Next();
    if (!piece.ok()) co_return piece.status();
    TellEcho(*piece);
    arrived_ += static_cast<int64_t>(piece->ids.size());
    request_.arrived_tokens += static_cast<int64_t>(piece->ids.size());
    if (request_.cache == CacheUse::kMiss) raw_ += piece->text;
    // A rule may match what begins in the prompt and ends in the answer.
    std::string passed = guard_.Push(std::exchange(echo_, "") + piece->text);
    if (piece->finish) passed += guard_.Finish();
    TakeFindings();
    if (guard_.blocked()) {
      piece->finish = BlockedFinish(piece->finish);
      inner_.reset();
    } else if (request_.schema != nullptr) {
      const absl::Status fits = CheckForm(passed, piece->finish);
      if (!fits.ok()) co_return fits;
      if (!request_.ask.stream) passed.clear();
    }
    if (piece->finish) {
      if (!request_.ask.stream) passed = std::exchange(form_, "") + passed;
      if (clean_ && request_.cache == CacheUse::kMiss) {
        request_.whole[index_] = {std::move(raw_), piece->finish->reason,
                                  piece->finish->completion_tokens};
      }
    }
    HoldLogProbs(*piece);
    piece->text = std::move(passed);
    co_return piece;
  }

 private:
  // The worker holds an answer to its form, so a stream need not wait for this: it is the net
  // below. An answer that was cut off is the beginning of one of the form.
  absl::Status CheckForm(std::string_view passed, const std::optional<Finish>& finish) {
    form_ += passed;
    if (!finish || finish->reason == FinishReason::kLength) return absl::OkStatus();
    const absl::Status fits = request_.schema->Check(form_);
    return fits.ok() ? fits : BreaksSchema(fits);
  }

  // An answer's tokens begin with those of an echoed prompt. The first answer to it, whose turn
  // comes first, has brought them.
  void TellEcho(Piece& piece) {
    if (!std::exchange(tells_echo_, false)) return;
    const auto& echo = request_.echo_logprobs[prompt_];
    piece.logprobs.insert(piece.logprobs.begin(), echo.begin(), echo.end());
  }

  // A token says what its text says. Where rules may yet change the text, its log-probabilities
  // wait for the end; they are told if no rule did, without the tokens that the answer might have
  // taken instead, which no rule has seen.
  void HoldLogProbs(Piece& piece) {
    if (request_.rules->output.reach(/*changing=*/true) == 0) return;
    std::move(piece.logprobs.begin(), piece.logprobs.end(), std::back_inserter(logprobs_));
    piece.logprobs.clear();
    if (!piece.finish || !clean_) return;
    for (TokenLogProbs& one : logprobs_) one.top.clear();
    piece.logprobs = std::move(logprobs_);
  }

  void TakeFindings() {
    const auto& findings = guard_.findings();
    for (; taken_ < findings.size(); ++taken_) {
      clean_ = clean_ && findings[taken_].action == Action::kFlag;
      request_.findings.push_back({Direction::kOutput, findings[taken_]});
    }
  }

  // What was generated until now is what was used.
  Finish BlockedFinish(const std::optional<Finish>& known) const {
    Finish finish = known.value_or(Finish{});
    if (!known) {
      finish.prompt_tokens = static_cast<int64_t>(IdsOf(request_, prompt_).size());
      finish.completion_tokens =
          request_.cached ? (*request_.cached)[index_].completion_tokens : arrived_;
    }
    finish.reason = FinishReason::kContentFilter;
    return finish;
  }

  Request& request_;
  std::unique_ptr<TokenStream> inner_;
  const size_t index_;   // among all that are made
  const size_t prompt_;  // that it answers
  std::string echo_;     // what the answer begins with; empty once it has
  bool tells_echo_;      // and how likely its tokens were; no longer once it has
  guardrails::StreamGuard guard_;
  std::vector<TokenLogProbs> logprobs_;  // that wait
  int64_t arrived_ = 0;                  // ids of this answer
  size_t taken_ = 0;                     // findings that the request has
  bool clean_ = true;                    // no rule changed the answer
  std::string raw_;                      // as it came, for the cache
  std::string form_;  // what its schema is about; of an answer that is no stream it waits here
};

// Behind the rules, which thus see a call as the model wrote it.
void TellCalls(Request& request) {
  if (request.tool_format == ToolFormat::kNone) return;
  const ToolAsk& asked = request.ask.tools;
  const bool required = asked.choice == ToolAsk::Choice::kRequired;
  openai::CallOptions options{.format = request.tool_format, .begun = required};
  for (const Tool& tool : asked.tools) options.names.push_back(tool.name);
  if (required || !asked.parallel) options.most = 1;
  request.stream = FindCalls(std::move(request.stream), std::move(options), request);
}

}  // namespace

Awaitable<absl::Status> GuardOutputStage::Enter(Request& request) {
  if (request.streams.empty()) {
    request.stream = std::make_unique<GuardedStream>(request, std::move(request.stream), 0);
    TellCalls(request);
    co_return absl::OkStatus();
  }
  auto streams = std::exchange(request.streams, {});
  for (size_t i = 0; i < streams.size(); ++i) {
    streams[i] = std::make_unique<GuardedStream>(request, std::move(streams[i]), i);
  }
  const int32_t made = request.ask.best_of;
  const int32_t given = request.ask.choices;
  request.stream = made > given ? BestOf(std::move(streams), request.likelihoods, made, given)
                                : Merge(std::move(streams), made);
  TellCalls(request);
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
