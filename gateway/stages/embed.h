// embed: texts → a worker's vectors.
#pragma once

#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows `embedder`. Fills request.vectors, and request.stream with one piece, the
// finish: what settles and answers a generation does so for vectors too.
class EmbedStage final : public Stage {
 public:
  explicit EmbedStage(Embedder& embedder) : embedder_(embedder) {}

  std::string_view name() const override { return "embed"; }
  Awaitable<absl::Status> Enter(Request& request) override;
  void Leave(Request& request) noexcept override { request.stream.reset(); }

 private:
  Embedder& embedder_;
};

}  // namespace floe::gateway
