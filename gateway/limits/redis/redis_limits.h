// RateLimits in Redis, shared by all gateways of a fleet.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/time/time.h"

#include "gateway/limits/rate_limits.h"
#include "gateway/redis/client.h"

namespace floe::gateway::limits {

// Thread-safe. Borrows `client`. A thread of its own renews the places that are held, three times a
// lease.
class RedisLimits final : public RateLimits {
 public:
  struct Options {
    absl::Duration lease = absl::Seconds(30);  // a dead gateway's places are free after it
    std::string gateway_id;  // unique among gateways: names of places begin with it
  };
  RedisLimits(redis::Client& client, Options options);
  // Places that are still held end by their leases.
  ~RedisLimits() override;

  Awaitable<absl::StatusOr<Admission>> Admit(const std::string& key_id, int64_t requests_per_minute,
                                             int64_t concurrent) override;
  Awaitable<absl::StatusOr<Charge>> ChargeTokens(const std::string& key_id,
                                                 int64_t tokens_per_minute,
                                                 int64_t tokens) override;
  void Settle(const Settlement& settlement) noexcept override;

  // Renews now.
  void Renew();

 private:
  std::string NewPlace();
  void Hold(const std::string& key_id, const std::string& place);

  redis::Client& client_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;                              // guarded by mutex_
  uint64_t places_made_ = 0;                           // guarded by mutex_
  std::map<std::string, std::set<std::string>> held_;  // guarded by mutex_; by key
  std::thread renewing_;
};

}  // namespace floe::gateway::limits
