#include "gateway/stages/generate.h"

#include <utility>

namespace floe::gateway {

Awaitable<absl::Status> GenerateStage::Enter(Request& request) {
  if (request.stream != nullptr) co_return absl::OkStatus();
  const GenerateCall call{.model = request.model,
                          .prompt_ids = request.prompt_ids,
                          .sampling = request.ask.sampling,
                          .max_tokens = request.max_tokens,
                          .stop = request.ask.stop,
                          .tier = request.ask.tier};
  absl::StatusOr<std::unique_ptr<TokenStream>> stream =
      co_await generator_.Start(request.scope, call);
  if (!stream.ok()) co_return stream.status();
  request.stream = *std::move(stream);
  co_return absl::OkStatus();
}

}  // namespace floe::gateway
