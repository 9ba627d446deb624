// AnswerCache in Redis: `floe:cache:{team}:digest` → a JSON object, gone after its time to live.
#pragma once

#include "gateway/cache/answer_cache.h"
#include "gateway/redis/client.h"

namespace floe::gateway::cache {

// What is longer, all answers together, is not kept.
inline constexpr size_t kMaxAnswerBytes = 1 << 20;

// Thread-safe. Borrows `client`.
class RedisCache final : public AnswerCache {
 public:
  explicit RedisCache(redis::Client& client) : client_(client) {}

  // A value that is damaged, or says that it is another team's, counts as not there.
  Awaitable<absl::StatusOr<std::optional<CachedAnswers>>> Find(const Key& key) override;
  void Store(const Key& key, const CachedAnswers& answers, absl::Duration ttl) noexcept override;

 private:
  redis::Client& client_;
};

}  // namespace floe::gateway::cache
