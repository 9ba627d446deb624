#include "gateway/cache/redis/redis_cache.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/json/strict_json.h"

namespace floe::gateway::cache {
namespace {

using nlohmann::json;

std::string RedisKey(const Key& key) {
  return absl::StrCat("floe:cache:{", key.team, "}:", key.digest);
}

json ToJson(const CachedAnswer& answer) {
  return {{"text", answer.text},
          {"reason", answer.reason == FinishReason::kStop ? "stop" : "length"},
          {"completion_tokens", answer.completion_tokens}};
}

std::optional<CachedAnswer> FromJson(const json& value) {
  if (!value.is_object()) return std::nullopt;
  const json answer = value.value("text", json());
  const json reason = value.value("reason", json());
  const json tokens = value.value("completion_tokens", json());
  if (!answer.is_string() || !tokens.is_number_integer()) return std::nullopt;
  if (reason != "stop" && reason != "length") return std::nullopt;
  return CachedAnswer{answer.get<std::string>(),
                      reason == "stop" ? FinishReason::kStop : FinishReason::kLength,
                      tokens.get<int64_t>()};
}

std::string ToText(const Key& key, const CachedAnswers& answers) {
  json value = {{"team", key.team}, {"digest", key.digest}, {"answers", json::array()}};
  for (const CachedAnswer& answer : answers) value["answers"].push_back(ToJson(answer));
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<CachedAnswers> FromText(const Key& key, const std::string& text) {
  if (NestsTooDeep(text)) return std::nullopt;  // its parts are copied, which is a recursion
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object() || value.value("team", json()) != key.team ||
      value.value("digest", json()) != key.digest) {
    return std::nullopt;
  }
  const json list = value.value("answers", json());
  if (!list.is_array()) return std::nullopt;
  CachedAnswers answers;
  for (const json& one : list) {
    std::optional<CachedAnswer> answer = FromJson(one);
    if (!answer) return std::nullopt;
    answers.push_back(*std::move(answer));
  }
  return answers;
}

}  // namespace

Awaitable<absl::StatusOr<std::optional<CachedAnswers>>> RedisCache::Find(const Key& key) {
  std::vector<std::string> words = {"GET", RedisKey(key)};
  const absl::StatusOr<redis::Reply> reply = co_await client_.Run(std::move(words));
  if (!reply.ok()) co_return reply.status();
  if (reply->kind != redis::Reply::Kind::kText) co_return std::nullopt;
  co_return FromText(key, reply->text);
}

void RedisCache::Store(const Key& key, const CachedAnswers& answers, absl::Duration ttl) noexcept {
  size_t bytes = 0;
  for (const CachedAnswer& answer : answers) bytes += answer.text.size();
  if (bytes > kMaxAnswerBytes || ttl < absl::Milliseconds(1)) return;
  client_.Send({"SET", RedisKey(key), ToText(key, answers), "PX",
                absl::StrCat(absl::ToInt64Milliseconds(ttl))},
               [](const absl::StatusOr<redis::Reply>&) {});
}

}  // namespace floe::gateway::cache
