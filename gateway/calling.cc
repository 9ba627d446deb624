#include "gateway/calling.h"

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

namespace floe::gateway {
namespace {

class CallingStream final : public TokenStream {
 public:
  CallingStream(std::unique_ptr<TokenStream> inner, openai::CallOptions options, Request& request)
      : inner_(std::move(inner)), options_(std::move(options)), request_(request) {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    absl::StatusOr<Piece> piece = co_await inner_->Next();
    if (piece.ok()) Find(*piece);
    co_return piece;
  }

 private:
  struct Answer {
    explicit Answer(const openai::CallOptions& options) : reader(options) {}
    openai::ToolCallReader reader;
    bool blocked = false;
  };

  void Find(Piece& piece) {
    const auto choice = static_cast<size_t>(piece.choice);
    while (answers_.size() <= choice) answers_.emplace_back(options_);
    Answer& answer = answers_[choice];
    Take(answer, answer.reader.Push(std::exchange(piece.text, "")), piece);
    if (piece.ended || piece.finish) {
      Take(answer, answer.reader.Flush(), piece);
      End(answer, piece);
    }
    if (answer.blocked) piece.logprobs.clear();
  }

  void Take(Answer& answer, openai::ToolCallReader::Found found, Piece& piece) {
    for (ToolCall& call : found.calls) answer.blocked = answer.blocked || !Passes(call);
    if (answer.blocked) return;
    piece.text += found.content;
    size_t index = answer.reader.calls() - found.calls.size();
    for (ToolCall& call : found.calls) {
      call.id = absl::StrCat("call_", request_.id, "_", piece.choice, "_", index++);
      piece.calls.push_back(std::move(call));
    }
  }

  // The rest of a blocked answer is made and counted, and nobody gets it.
  void End(const Answer& answer, Piece& piece) {
    blocked_ = blocked_ || answer.blocked;
    const auto end = [&answer](FinishReason& reason, bool blocked) {
      if (blocked) reason = FinishReason::kContentFilter;
      const bool calls = answer.reader.calls() > 0;
      if (calls && reason == FinishReason::kStop) reason = FinishReason::kToolCalls;
    };
    if (piece.ended) end(*piece.ended, answer.blocked);
    if (piece.finish) end(piece.finish->reason, blocked_);
  }

  // Whether the rules let it pass, masked where they say so. What they only flag was found before.
  bool Passes(ToolCall& call) {
    guardrails::Verdict verdict =
        guardrails::Apply(request_.rules->output, openai::WithoutEscapes(call.arguments));
    bool changed = false;
    for (guardrails::Finding& found : verdict.findings) {
      if (found.action == guardrails::Action::kFlag) continue;
      changed = true;
      request_.findings.push_back({Direction::kOutput, std::move(found)});
    }
    if (!changed) return true;
    // A mask over a part of the form leaves no JSON.
    call.arguments = nlohmann::json::accept(verdict.text) ? std::move(verdict.text) : "{}";
    return !verdict.blocked;
  }

  const std::unique_ptr<TokenStream> inner_;
  const openai::CallOptions options_;
  Request& request_;
  std::deque<Answer> answers_;
  bool blocked_ = false;  // one of them
};

}  // namespace

std::unique_ptr<TokenStream> FindCalls(std::unique_ptr<TokenStream> inner,
                                       openai::CallOptions options, Request& request) {
  return std::make_unique<CallingStream>(std::move(inner), std::move(options), request);
}

}  // namespace floe::gateway
