// Answers that were given before. The port that the stages use, and its value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/awaitable.h"
#include "gateway/generation.h"

namespace floe::gateway::cache {

struct CachedAnswer {
  std::string text;  // as the worker gave it: the present rules apply to it again
  FinishReason reason = FinishReason::kStop;
  int64_t completion_tokens = 0;
  bool operator==(const CachedAnswer&) const = default;
};

// Of one request: one to each of its prompts.
using CachedAnswers = std::vector<CachedAnswer>;

// Whose answers, and which: see cache_key.h.
struct Key {
  std::string team;
  std::string digest;
};

// Thread-safe.
class AnswerCache {
 public:
  virtual ~AnswerCache() = default;
  // Nothing when they are not there. UNAVAILABLE while the cache is away.
  virtual Awaitable<absl::StatusOr<std::optional<CachedAnswers>>> Find(const Key& key) = 0;
  // Never waits; what cannot be stored is dropped.
  virtual void Store(const Key& key, const CachedAnswers& answers, absl::Duration ttl) noexcept = 0;
};

// For a gateway without Redis: holds nothing.
class NoCache final : public AnswerCache {
 public:
  Awaitable<absl::StatusOr<std::optional<CachedAnswers>>> Find(const Key&) override {
    co_return std::nullopt;
  }
  void Store(const Key&, const CachedAnswers&, absl::Duration) noexcept override {}
};

}  // namespace floe::gateway::cache
