#include "gateway/stages/guard_output.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"

namespace floe::gateway {
namespace {

using guardrails::Action;

absl::Status BreaksSchema(const absl::Status& why) {
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "the model's answer breaks response_format: ", why.message(),
                        "; ask again, with another seed, or describe the form in the prompt")),
                    "ANSWER_BREAKS_SCHEMA", {{"http_status", "422"}, {"param", "response_format"}});
}

// Borrows the request, of which it is a part.
class GuardedStream final : public TokenStream {
 public:
  GuardedStream(Request& request, std::unique_ptr<TokenStream> inner)
      : request_(request), inner_(std::move(inner)), guard_(request.rules->output) {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    absl::StatusOr<Piece> piece = co_await inner_->Next();
    if (!piece.ok()) co_return piece.status();
    request_.arrived_tokens += static_cast<int64_t>(piece->ids.size());
    if (request_.cache == CacheUse::kMiss) raw_ += piece->text;
    std::string passed = guard_.Push(piece->text);
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
        request_.whole = cache::CachedAnswer{std::move(raw_), piece->finish->reason,
                                             piece->finish->completion_tokens};
      }
    }
    if (request_.rules->audit_text) request_.answer_text += passed;
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
      finish.prompt_tokens = static_cast<int64_t>(request_.prompt_ids.size());
      finish.completion_tokens =
          request_.cached ? request_.cached->completion_tokens : request_.arrived_tokens;
    }
    finish.reason = FinishReason::kContentFilter;
    return finish;
  }

  Request& request_;
  std::unique_ptr<TokenStream> inner_;
  guardrails::StreamGuard guard_;
  size_t taken_ = 0;   // findings that the request has
  bool clean_ = true;  // no rule changed the answer
  std::string raw_;    // as it came, for the cache
  std::string form_;   // what its schema is about; of an answer that is no stream it waits here
};

}  // namespace

Awaitable<absl::Status> GuardOutputStage::Enter(Request& request) {
  request.stream = std::make_unique<GuardedStream>(request, std::move(request.stream));
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
