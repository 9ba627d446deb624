// cache: an answer that was given before to the same request of the same team.
#pragma once

#include "gateway/cache/answer_cache.h"
#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows `cache`. Only requests whose answer is determined (a seed of the client's,
// or temperature 0) are looked for, unless the policy says otherwise. A hit fills request.stream,
// which later stages treat as they would a worker's. Leaving stores an answer that is whole.
class CacheStage final : public Stage {
 public:
  explicit CacheStage(cache::AnswerCache& cache) : cache_(cache) {}

  std::string_view name() const override { return "cache"; }
  // Never refuses: a cache that is away has nothing.
  Awaitable<absl::Status> Enter(Request& request) override;
  void Leave(Request& request) noexcept override;

 private:
  cache::AnswerCache& cache_;
};

}  // namespace floe::gateway
