#include "gateway/limits/redis/redis_limits.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "gateway/limits/redis/scripts.h"

namespace floe::gateway::limits {
namespace {

// The braces keep a key's entries on one node of a Redis cluster.
std::string RequestsKey(const std::string& key_id) {
  return absl::StrCat("floe:limit:{", key_id, "}:requests");
}
std::string TokensKey(const std::string& key_id) {
  return absl::StrCat("floe:limit:{", key_id, "}:tokens");
}
std::string PlacesKey(const std::string& key_id) {
  return absl::StrCat("floe:limit:{", key_id, "}:places");
}

// The four numbers of a script's answer.
struct Numbers {
  int64_t refused = 0;
  int64_t remaining = 0;
  absl::Duration reset;
  absl::Duration retry_after;
};

absl::StatusOr<Numbers> Read(const absl::StatusOr<redis::Reply>& reply) {
  if (!reply.ok()) return reply.status();
  std::array<int64_t, 4> numbers{};
  bool good = reply->list.size() == numbers.size();
  for (size_t i = 0; good && i < numbers.size(); ++i) {
    good = absl::SimpleAtoi(reply->list[i].text, &numbers[i]);
  }
  if (!good) return absl::InternalError("a limit's script gave an answer of another form");
  return Numbers{numbers[0], numbers[1], absl::Microseconds(numbers[2]),
                 absl::Microseconds(numbers[3])};
}

}  // namespace

RedisLimits::RedisLimits(redis::Client& client, Options options)
    : client_(client), options_(std::move(options)) {
  renewing_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    const auto pause = absl::ToChronoMilliseconds(options_.lease / 3);
    while (!stop_.wait_for(lock, pause, [this] { return stopping_; })) {
      lock.unlock();
      Renew();
      lock.lock();
    }
  });
}

RedisLimits::~RedisLimits() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  renewing_.join();
}

std::string RedisLimits::NewPlace() {
  const std::lock_guard lock(mutex_);
  return absl::StrCat(options_.gateway_id, ":", ++places_made_);
}

void RedisLimits::Hold(const std::string& key_id, const std::string& place) {
  const std::lock_guard lock(mutex_);
  held_[key_id].insert(place);
}

// Sent while the lock is held, so that no place is renewed behind its own release.
void RedisLimits::Renew() {
  const std::lock_guard lock(mutex_);
  const std::string lease = absl::StrCat(absl::ToInt64Milliseconds(options_.lease));
  for (const auto& [key_id, places] : held_) {
    std::vector<std::string> arguments = {lease};
    arguments.insert(arguments.end(), places.begin(), places.end());
    client_.Send(RenewScript(), {PlacesKey(key_id)}, std::move(arguments),
                 [](const absl::StatusOr<redis::Reply>&) {});
  }
}

Awaitable<absl::StatusOr<Admission>> RedisLimits::Admit(const std::string& key_id,
                                                        int64_t requests_per_minute,
                                                        int64_t concurrent) {
  const std::string place = concurrent > 0 ? NewPlace() : "";
  std::vector<std::string> keys = {RequestsKey(key_id), PlacesKey(key_id)};
  std::vector<std::string> arguments = {absl::StrCat(requests_per_minute), absl::StrCat(concurrent),
                                        place,
                                        absl::StrCat(absl::ToInt64Milliseconds(options_.lease))};
  const absl::StatusOr<redis::Reply> reply =
      co_await client_.Run(AdmitScript(), std::move(keys), std::move(arguments));
  const absl::StatusOr<Numbers> numbers = Read(reply);
  if (!numbers.ok()) {
    // It may have been taken all the same.
    if (!place.empty()) Settle({key_id, place, 0, 0});
    co_return numbers.status();
  }
  Admission admission;
  admission.requests = {requests_per_minute, numbers->remaining, numbers->reset};
  admission.retry_after = numbers->retry_after;
  if (numbers->refused != 0) {
    admission.refusal = numbers->refused == 1 ? Refusal::kRequests : Refusal::kConcurrent;
    co_return admission;
  }
  admission.place = place;
  if (!place.empty()) Hold(key_id, place);
  co_return admission;
}

Awaitable<absl::StatusOr<Charge>> RedisLimits::ChargeTokens(const std::string& key_id,
                                                            int64_t tokens_per_minute,
                                                            int64_t tokens) {
  std::vector<std::string> keys = {TokensKey(key_id)};
  std::vector<std::string> arguments = {absl::StrCat(tokens_per_minute), absl::StrCat(tokens)};
  const absl::StatusOr<redis::Reply> reply =
      co_await client_.Run(ChargeScript(), std::move(keys), std::move(arguments));
  const absl::StatusOr<Numbers> numbers = Read(reply);
  if (!numbers.ok()) co_return numbers.status();
  co_return Charge{numbers->refused != 0,
                   {tokens_per_minute, numbers->remaining, numbers->reset},
                   numbers->retry_after};
}

void RedisLimits::Settle(const Settlement& settlement) noexcept {
  const std::lock_guard lock(mutex_);
  if (const auto of_key = held_.find(settlement.key_id); of_key != held_.end()) {
    of_key->second.erase(settlement.place);
    if (of_key->second.empty()) held_.erase(of_key);
  }
  if (settlement.place.empty() && settlement.unused_tokens <= 0) return;
  client_.Send(SettleScript(), {TokensKey(settlement.key_id), PlacesKey(settlement.key_id)},
               {absl::StrCat(settlement.token_limit), absl::StrCat(settlement.unused_tokens),
                settlement.place},
               [](const absl::StatusOr<redis::Reply>&) {});
}

}  // namespace floe::gateway::limits
