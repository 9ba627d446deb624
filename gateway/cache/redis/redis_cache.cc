#include "gateway/cache/redis/redis_cache.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

namespace floe::gateway::cache {
namespace {

using nlohmann::json;

std::string RedisKey(const Key& key) {
  return absl::StrCat("floe:cache:{", key.team, "}:", key.digest);
}

std::string ToText(const Key& key, const CachedAnswer& answer) {
  const json value = {{"team", key.team},
                      {"digest", key.digest},
                      {"text", answer.text},
                      {"reason", answer.reason == FinishReason::kStop ? "stop" : "length"},
                      {"completion_tokens", answer.completion_tokens}};
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<CachedAnswer> FromText(const Key& key, const std::string& text) {
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object() || value.value("team", json()) != key.team ||
      value.value("digest", json()) != key.digest) {
    return std::nullopt;
  }
  const json answer = value.value("text", json());
  const json reason = value.value("reason", json());
  const json tokens = value.value("completion_tokens", json());
  if (!answer.is_string() || !tokens.is_number_integer()) return std::nullopt;
  if (reason != "stop" && reason != "length") return std::nullopt;
  return CachedAnswer{answer.get<std::string>(),
                      reason == "stop" ? FinishReason::kStop : FinishReason::kLength,
                      tokens.get<int64_t>()};
}

}  // namespace

Awaitable<absl::StatusOr<std::optional<CachedAnswer>>> RedisCache::Find(const Key& key) {
  std::vector<std::string> words = {"GET", RedisKey(key)};
  const absl::StatusOr<redis::Reply> reply = co_await client_.Run(std::move(words));
  if (!reply.ok()) co_return reply.status();
  if (reply->kind != redis::Reply::Kind::kText) co_return std::nullopt;
  co_return FromText(key, reply->text);
}

void RedisCache::Store(const Key& key, const CachedAnswer& answer, absl::Duration ttl) noexcept {
  if (answer.text.size() > kMaxAnswerBytes || ttl < absl::Milliseconds(1)) return;
  client_.Send({"SET", RedisKey(key), ToText(key, answer), "PX",
                absl::StrCat(absl::ToInt64Milliseconds(ttl))},
               [](const absl::StatusOr<redis::Reply>&) {});
}

}  // namespace floe::gateway::cache
