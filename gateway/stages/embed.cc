#include "gateway/stages/embed.h"

#include <utility>

namespace floe::gateway {
namespace {

class Done final : public TokenStream {
 public:
  explicit Done(Finish finish) : finish_(std::move(finish)) {}
  Awaitable<absl::StatusOr<Piece>> Next() override { co_return Piece{.finish = finish_}; }

 private:
  const Finish finish_;
};

}  // namespace

Awaitable<absl::Status> EmbedStage::Enter(Request& request) {
  const EmbedCall call{.model = request.model,
                       .ids = request.prompt_ids,
                       .input_ends = request.prompt_ends,
                       .pooling = request.ask.embedding->pooling,
                       .dimensions = request.ask.embedding->dimensions,
                       .tier = request.ask.tier,
                       .usage_id = request.usage_id,
                       .meter = &request.meter};
  absl::StatusOr<std::vector<std::vector<float>>> vectors =
      co_await embedder_.Embed(request.scope, call);
  if (!vectors.ok()) {
    request.meter.failure = vectors.status();
    co_return vectors.status();
  }
  request.vectors = *std::move(vectors);
  request.stream = std::make_unique<Done>(
      Finish{.prompt_tokens = static_cast<int64_t>(request.prompt_ids.size())});
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
