// Limits of a key: requests a minute, tokens a minute, requests at once. The port that the stages
// use, and its values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/awaitable.h"

namespace floe::gateway::limits {

// A bucket of a minute's worth.
struct Level {
  int64_t limit = 0;  // 0: nothing is limited, and the rest says nothing
  int64_t remaining = 0;
  absl::Duration reset;  // until it is full again
};

enum class Refusal { kNone, kRequests, kConcurrent, kTokens };

struct Admission {
  Refusal refusal = Refusal::kNone;  // refused: nothing was taken
  Level requests;
  std::string place;           // of a limited number at once; give it back. Empty: none was taken
  absl::Duration retry_after;  // when refused: how long until it may work
};

struct Charge {
  bool refused = false;  // nothing was taken
  Level tokens;
  absl::Duration retry_after;
};

// What a request gives back when it ends.
struct Settlement {
  std::string key_id;
  std::string place;        // empty: none
  int64_t token_limit = 0;  // 0: no tokens were charged
  int64_t unused_tokens = 0;
};

// Thread-safe. UNAVAILABLE while nothing can be counted.
class RateLimits {
 public:
  virtual ~RateLimits() = default;
  // One request of `key_id`, and a place when `concurrent` is not 0.
  virtual Awaitable<absl::StatusOr<Admission>> Admit(const std::string& key_id,
                                                     int64_t requests_per_minute,
                                                     int64_t concurrent) = 0;
  // `tokens` is at most `tokens_per_minute`: more would never pass.
  virtual Awaitable<absl::StatusOr<Charge>> ChargeTokens(const std::string& key_id,
                                                         int64_t tokens_per_minute,
                                                         int64_t tokens) = 0;
  // Never waits. What cannot be told is lost: places end by themselves, buckets refill.
  virtual void Settle(const Settlement& settlement) noexcept = 0;
};

// For a gateway without Redis: always away.
class UncountedLimits final : public RateLimits {
 public:
  Awaitable<absl::StatusOr<Admission>> Admit(const std::string&, int64_t, int64_t) override;
  Awaitable<absl::StatusOr<Charge>> ChargeTokens(const std::string&, int64_t, int64_t) override;
  void Settle(const Settlement&) noexcept override {}
};

// `1m30s`, `20ms`: as the x-ratelimit-reset-* headers say it; whole milliseconds, rounded up.
std::string ResetText(absl::Duration duration);

}  // namespace floe::gateway::limits
