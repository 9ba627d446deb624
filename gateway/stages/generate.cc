#include "gateway/stages/generate.h"

#include <optional>
#include <utility>

#include "base/error_reason.h"

namespace floe::gateway {
namespace {

// Counts what arrives, before any later stage holds something back. Belongs to the request.
class MeteredStream final : public TokenStream {
 public:
  MeteredStream(std::unique_ptr<TokenStream> inner, Request& request, const Clock& clock)
      : inner_(std::move(inner)), request_(request), clock_(clock) {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    absl::StatusOr<Piece> piece = co_await inner_->Next();
    Meter& meter = request_.meter;
    if (!piece.ok()) {
      meter.failure = piece.status();
      co_return piece;
    }
    const auto ids = static_cast<int64_t>(piece->ids.size());
    meter.arrived += ids;
    if (ids > 0 && !meter.cached_prompt) meter.cached_prompt = piece->cached_prompt;
    if (ids > 0 && meter.first_token == absl::ZeroDuration()) {
      meter.first_token = clock_.Now() - request_.arrived;
    }
    co_return piece;
  }

 private:
  const std::unique_ptr<TokenStream> inner_;
  Request& request_;
  const Clock& clock_;
};

// A client's own salt divides what its team shares, and opens nothing of another team's: no team
// has a slash in its name.
std::string CacheSaltOf(const Request& request) {
  const std::string& team = request.scope.caller.team;
  return request.ask.cache_salt.empty() ? team : team + "/" + request.ask.cache_salt;
}

// A worker knows what is wrong with a form, but not which field of the request said it.
absl::Status NamingTheField(absl::Status status, const ResponseFormat& format) {
  std::optional<ErrorReason> reason = ReasonOf(status);
  if (!reason || reason->reason != "INVALID_CONSTRAINT") return status;
  reason->metadata["param"] = format.param;
  return WithReason(std::move(status), *std::move(reason));
}

}  // namespace

Awaitable<absl::Status> GenerateStage::Enter(Request& request) {
  if (request.stream != nullptr) co_return absl::OkStatus();
  const GenerateCall call{.model = request.model,
                          .prompt_ids = request.prompt_ids,
                          .sampling = request.ask.sampling,
                          .max_tokens = request.max_tokens,
                          .stop = request.ask.stop,
                          .response_format = request.ask.response_format,
                          .tier = request.ask.tier,
                          .cache_salt = CacheSaltOf(request),
                          .usage_id = request.usage_id,
                          .meter = &request.meter};
  absl::StatusOr<std::unique_ptr<TokenStream>> stream =
      co_await generator_.Start(request.scope, call);
  if (!stream.ok()) {
    request.meter.failure = stream.status();
    co_return NamingTheField(stream.status(), request.ask.response_format);
  }
  request.stream = std::make_unique<MeteredStream>(*std::move(stream), request, clock_);
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
