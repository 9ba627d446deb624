// Limits, cache, rules and schemas through the HTTP server, with a real Redis. One file, since all
// sections share the fixture that has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <nlohmann/json.hpp>

#include "gateway/cache/redis/redis_cache.h"
#include "gateway/limits/redis/redis_limits.h"
#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"
#include "tests/support/redis.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr char kChat[] = "/v1/chat/completions";

json Chat(const std::string& text = "Hello") {
  return {{"model", "hamlet"},
          {"messages", json::array({{{"role", "user"}, {"content", text}}})},
          {"max_tokens", 8},
          {"seed", 7}};
}

json Streamed(json request) {
  request["stream"] = true;
  return request;
}

std::string TextOf(const HttpAnswer& answer) {
  if (!answer.headers.contains("content-type") ||
      answer.headers.at("content-type") == "application/json") {
    return json::parse(answer.body)["choices"][0]["message"]["content"];
  }
  std::string text;
  for (const std::string& event : EventsOf(answer.body)) {
    if (event == "[DONE]") continue;
    const json chunk = json::parse(event);
    if (!chunk.contains("choices")) continue;
    for (const json& choice : chunk["choices"]) text += choice["delta"].value("content", "");
  }
  return text;
}

// The object that ends an answer, whole or streamed.
json LastOf(const HttpAnswer& answer) {
  if (answer.headers.at("content-type") == "application/json") return json::parse(answer.body);
  const std::vector<std::string> events = EventsOf(answer.body);
  return json::parse(events.at(events.size() - 2));
}

std::string CodeOf(const HttpAnswer& answer) { return json::parse(answer.body)["error"]["code"]; }

// A worker that says `pieces`, one token each.
FakeWorker::Behaviour Says(std::vector<std::string> pieces) {
  return [pieces = std::move(pieces)](grpc::ServerContext&,
                                      const inference::v1::GenerateRequest& request,
                                      FakeWorker::Writer& writer) {
    for (size_t i = 0; i < pieces.size(); ++i) {
      inference::v1::GenerateResponse piece;
      piece.add_ids(1);
      piece.set_text(pieces[i]);
      if (i + 1 == pieces.size()) {
        piece.mutable_finish()->set_reason(inference::v1::Finish::STOP);
        piece.mutable_finish()->set_prompt_tokens(request.prompt_ids_size());
        piece.mutable_finish()->set_completion_tokens(static_cast<int>(pieces.size()));
      }
      if (!writer.Write(piece)) return grpc::Status::CANCELLED;
    }
    return grpc::Status::OK;
  };
}

// A cache that tells when answers were stored: a gateway does that once the client has everything,
// so a client may be back before.
class WatchedCache final : public cache::AnswerCache {
 public:
  explicit WatchedCache(cache::AnswerCache& inner) : inner_(inner) {}
  Awaitable<absl::StatusOr<std::optional<cache::CachedAnswers>>> Find(
      const cache::Key& key) override {
    return inner_.Find(key);
  }
  void Store(const cache::Key& key, const cache::CachedAnswers& answers,
             absl::Duration ttl) noexcept override {
    inner_.Store(key, answers, ttl);
    const std::lock_guard lock(mutex_);
    ++stored_;
    changed_.notify_all();
  }
  void WaitUntilStored(int answers) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stored_ >= answers; });
  }

 private:
  cache::AnswerCache& inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int stored_ = 0;  // guarded by mutex_
};

// A gateway over a Redis of its own.
class GovernanceHttpTest : public testing::Test {
 protected:
  explicit GovernanceHttpTest(const std::string& policy = "")
      : fleet_({.workers = 1, .policy = policy, .counting = &limits_, .cache = &cache_}) {}

  HttpAnswer Post(const json& body, const char* key = kConsumerKey) {
    return HttpClient(fleet_.port()).Post(kChat, body.dump(), key);
  }

  test::Redis redis_;
  redis::Client client_{
      {.address = {.socket = redis_.socket()}, .reply_timeout = absl::Seconds(20)}};
  limits::RedisLimits limits_{client_, {.gateway_id = "gateway"}};
  cache::RedisCache redis_cache_{client_};
  WatchedCache cache_{redis_cache_};
  FakeFleet fleet_;
};

// --- limits

TEST_F(GovernanceHttpTest, LimitsAreToldInHeadersAndRefuseWithRetryAfter) {
  fleet_.policies().Set("defaults: {limits: {requests_per_minute: 2, tokens_per_minute: 1000}}");
  const HttpAnswer first = Post(Chat());
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.headers.at("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(first.headers.at("x-ratelimit-remaining-requests"), "1");
  EXPECT_THAT(first.headers.at("x-ratelimit-reset-requests"), HasSubstr("s"));
  EXPECT_EQ(first.headers.at("x-ratelimit-limit-tokens"), "1000");
  EXPECT_EQ(first.headers.at("x-ratelimit-remaining-tokens"), absl::StrCat(1000 - 24 - 8));
  EXPECT_EQ(Post(Streamed(Chat())).headers.at("x-ratelimit-remaining-requests"), "0");
  const HttpAnswer refused = Post(Chat());
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(CodeOf(refused), "rate_limit_exceeded");
  EXPECT_GT(std::stoi(refused.headers.at("retry-after")), 0);
  EXPECT_EQ(refused.headers.at("x-ratelimit-remaining-requests"), "0");
  // Another key is not its business.
  fleet_.policies().Set("defaults: {limits: {requests_per_minute: 2}}");
  EXPECT_EQ(Post(Chat(), kOtherTeamKey).status, 404);
}

TEST_F(GovernanceHttpTest, WithoutLimitsThereAreNoHeaders) {
  EXPECT_FALSE(Post(Chat()).headers.contains("x-ratelimit-limit-requests"));
}

TEST_F(GovernanceHttpTest, ConcurrencyIsExactUnder50ParallelRequests) {
  fleet_.policies().Set("defaults: {limits: {concurrent: 5}, cache: {enabled: false}}");
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int waiting = 0;
  fleet_.worker().Behave([&](grpc::ServerContext& context,
                             const inference::v1::GenerateRequest& request,
                             FakeWorker::Writer& writer) {
    {
      std::unique_lock lock(mutex);
      ++waiting;
      changed.notify_all();
      changed.wait(lock, [&] { return open; });
    }
    return Says({"done"})(context, request, writer);
  });
  std::atomic<int> served = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 50; ++i) {
      clients.emplace_back([&] {
        const HttpAnswer answer = Post(Chat());
        served += answer.status == 200;
        refused += answer.status == 429;
        const std::lock_guard lock(mutex);
        changed.notify_all();
      });
    }
    std::unique_lock lock(mutex);
    // The five are inside; only then does anyone leave.
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60),
                                 [&] { return waiting == 5 && refused == 45; }));
    open = true;
    changed.notify_all();
  }
  EXPECT_EQ(served, 5);
  EXPECT_EQ(refused, 45);
  // None is refused later for a place that nobody holds.
  EXPECT_EQ(Post(Chat()).status, 200);
}

TEST_F(GovernanceHttpTest, AClientThatHangsUpGivesItsPlaceBack) {
  fleet_.policies().Set("defaults: {limits: {concurrent: 1}, cache: {enabled: false}}");
  fleet_.worker().Behave(FakeWorker::HangAfter("a"));
  {
    HttpClient client(fleet_.port());
    client.Write(PostText(kChat, Streamed(Chat()).dump()));
    client.ReadUntil("\"a\"");
    EXPECT_EQ(Post(Chat()).status, 429);
  }
  ASSERT_TRUE(fleet_.worker().WaitForCancelled(1));
  fleet_.worker().Behave(Says({"done"}));
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  int status = 429;
  while (status == 429 && absl::Now() < give_up) status = Post(Chat()).status;
  EXPECT_EQ(status, 200);
}

TEST_F(GovernanceHttpTest, WithRedisGoneThePolicyDecidesAndNothingIsLost) {
  const std::string limits = "limits: {requests_per_minute: 100, tokens_per_minute: 100000}";
  fleet_.policies().Set("defaults: {" + limits + "}");
  ASSERT_EQ(Post(Chat()).status, 200);
  redis_.Stop();
  for (int i = 0; i < 5; ++i) {
    const HttpAnswer answer = Post(Chat());
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(TextOf(answer).size(), 8u);
    EXPECT_FALSE(answer.headers.contains("x-ratelimit-limit-requests"));
  }
  fleet_.policies().Set("defaults: {when_redis_is_away: refuse, " + limits + "}");
  const HttpAnswer refused = Post(Chat());
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(CodeOf(refused), "limits_unavailable");
  EXPECT_TRUE(refused.headers.contains("retry-after"));
  redis_.Start();
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  int status = 503;
  while (status == 503 && absl::Now() < give_up) status = Post(Chat()).status;
  EXPECT_EQ(status, 200);
}

// --- cache

TEST_F(GovernanceHttpTest, TheSameRequestIsAnsweredFromTheCachePlainAndStreamed) {
  const HttpAnswer computed = Post(Chat());
  ASSERT_EQ(computed.status, 200);
  EXPECT_EQ(computed.headers.at("x-floe-cache"), "miss");
  EXPECT_EQ(LastOf(computed)["floe"]["cache"], "miss");
  cache_.WaitUntilStored(1);
  for (const json& again : {Chat(), Streamed(Chat())}) {
    const HttpAnswer cached = Post(again);
    EXPECT_EQ(cached.headers.at("x-floe-cache"), "hit");
    EXPECT_EQ(TextOf(cached), TextOf(computed));
    EXPECT_EQ(LastOf(cached)["floe"]["cache"], "hit");
    EXPECT_EQ(LastOf(cached)["choices"][0]["finish_reason"], "length");
  }
  EXPECT_EQ(fleet_.worker().requests().size(), 1u);
  // The same tokens; those of the prompt are the cheaper, cached ones.
  json usage = LastOf(computed)["usage"];
  EXPECT_EQ(usage["prompt_tokens_details"]["cached_tokens"], 0);
  usage["prompt_tokens_details"]["cached_tokens"] = usage["prompt_tokens"];
  EXPECT_EQ(LastOf(Post(Chat()))["usage"], usage);
  json bypass = Chat();
  bypass["floe"] = {{"cache", "off"}};
  const HttpAnswer fresh = Post(bypass);
  EXPECT_FALSE(fresh.headers.contains("x-floe-cache"));
  EXPECT_EQ(LastOf(fresh)["floe"]["cache"], "off");
  EXPECT_EQ(fleet_.worker().requests().size(), 2u);
}

TEST_F(GovernanceHttpTest, ARevokedKeyGetsNothingFromTheCache) {
  ASSERT_EQ(Post(Chat()).status, 200);
  cache_.WaitUntilStored(1);
  ASSERT_EQ(Post(Chat()).headers.at("x-floe-cache"), "hit");
  fleet_.keys().Fail(kConsumerKey, "KEY_REVOKED");
  const HttpAnswer refused = Post(Chat());
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(CodeOf(refused), "invalid_api_key");
}

TEST_F(GovernanceHttpTest, AnotherPolicyIsAnotherPartition) {
  ASSERT_EQ(Post(Chat()).status, 200);
  cache_.WaitUntilStored(1);
  fleet_.policies().Set("version: two");
  EXPECT_EQ(Post(Chat()).headers.at("x-floe-cache"), "miss");
}

TEST_F(GovernanceHttpTest, RefusedAndCutOffAnswersAreNotKept) {
  fleet_.policies().Set("defaults: {output: [{words: [hush], name: secret, action: block}]}");
  fleet_.worker().Behave(Says({"be ", "hush"}));
  ASSERT_EQ(Post(Chat()).status, 200);
  EXPECT_EQ(Post(Chat()).headers.at("x-floe-cache"), "miss");
  fleet_.worker().Behave(
      [](grpc::ServerContext&, const inference::v1::GenerateRequest&, FakeWorker::Writer& writer) {
        inference::v1::GenerateResponse piece;
        piece.add_ids(1);
        piece.set_text("half");
        writer.Write(piece);
        return grpc::Status(grpc::StatusCode::INTERNAL, "broken");
      });
  EXPECT_EQ(Post(Chat("cut")).status, 500);
  fleet_.worker().Behave(Says({"whole"}));
  const HttpAnswer answer = Post(Chat("cut"));
  EXPECT_EQ(answer.headers.at("x-floe-cache"), "miss");
  EXPECT_EQ(TextOf(answer), "whole");
}

// Random requests; a hit must be the answer to the very same request.
TEST_F(GovernanceHttpTest, AHitIsAlwaysTheAnswerToTheSameRequest) {
  fleet_.worker().Behave([](grpc::ServerContext& context,
                            const inference::v1::GenerateRequest& request,
                            FakeWorker::Writer& writer) {
    // The answer is the request.
    std::string text = absl::StrCat(
        request.checkpoint_digest(), "|", request.max_tokens(), "|", request.sampling().seed(), "|",
        request.sampling().temperature(), "|", request.sampling().top_k(), "|");
    for (const uint32_t id : request.prompt_ids()) absl::StrAppend(&text, id, ",");
    for (const std::string& stop : request.stop()) absl::StrAppend(&text, "|", stop);
    return Says({text})(context, request, writer);
  });
  std::mt19937 random(11);
  int hits = 0;
  HttpClient client(fleet_.port());
  std::map<std::string, std::string> answers;
  for (int i = 0; i < 400; ++i) {
    json request = Chat(std::string(1 + random() % 2, 'a'));
    request["max_tokens"] = 1 + random() % 2;
    request["seed"] = random() % 3;
    request["temperature"] = 0.5 * static_cast<double>(1 + random() % 2);
    request["top_k"] = random() % 2;
    if (random() % 2 == 0) request["stop"] = "x";
    const HttpAnswer answer = client.Post(kChat, request.dump());
    ASSERT_EQ(answer.status, 200);
    hits += answer.headers.at("x-floe-cache") == "hit";
    const auto [entry, fresh] = answers.emplace(request.dump(), TextOf(answer));
    ASSERT_EQ(entry->second, TextOf(answer));
  }
  EXPECT_GT(hits, 50);
}

// --- rules

TEST_F(GovernanceHttpTest, ABlockedPromptIs400AndNamesTheRule) {
  fleet_.policies().Set("defaults: {input: [{detector: card, action: block}]}");
  const HttpAnswer answer = Post(Chat("pay with 4111 1111 1111 1111"));
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(CodeOf(answer), "content_blocked");
  EXPECT_THAT(answer.body, HasSubstr("card"));
  EXPECT_THAT(answer.body, Not(HasSubstr("4111")));
  EXPECT_EQ(fleet_.worker().requests().size(), 0u);
}

TEST_F(GovernanceHttpTest, AMaskedPromptReachesTheWorkerMasked) {
  fleet_.policies().Set("defaults: {input: [{detector: email, action: mask}]}");
  const HttpAnswer answer = Post(Chat("I am a@b.example and c@d.example"));
  ASSERT_EQ(answer.status, 200);
  std::string prompt;
  for (const uint32_t id : fleet_.worker().requests().at(0).prompt_ids()) {
    if (id < 256) prompt.push_back(static_cast<char>(id));
  }
  EXPECT_THAT(prompt, HasSubstr("I am [email] and [email]"));
  EXPECT_EQ(
      json::parse(answer.body)["floe"]["guardrails"],
      json::parse(R"([{"rule": "email", "action": "mask", "direction": "input", "count": 2}])"));
  EXPECT_EQ(json::parse(answer.body)["floe"]["policy"], fleet_.policies().Current()->digest());
}

TEST_F(GovernanceHttpTest, APhraseSplitAnywhereNeverLeavesInPart) {
  fleet_.policies().Set(R"(
defaults:
  cache: {enabled: false}
  output: [{words: [blue falcon], name: project, action: mask}])");
  const std::string text = "see the blue falcon fly";
  HttpClient client(fleet_.port());
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); second += 3) {
      fleet_.worker().Behave(
          Says({text.substr(0, first), text.substr(first, second - first), text.substr(second)}));
      const HttpAnswer answer = client.Post(kChat, Streamed(Chat()).dump());
      ASSERT_EQ(answer.status, 200);
      ASSERT_EQ(TextOf(answer), "see the [project] fly") << first << ", " << second;
      ASSERT_THAT(answer.body, Not(HasSubstr("falcon")));
    }
  }
}

TEST_F(GovernanceHttpTest, ABlockedAnswerEndsWithContentFilterAndTheWorkerIsCancelled) {
  fleet_.policies().Set(
      "defaults: {output: [{words: [blue falcon], name: project, action: block}]}");
  for (const json& request : {Chat(), Streamed(Chat())}) {
    fleet_.worker().Behave(FakeWorker::HangAfter("see the blue falcon " + std::string(300, 'x')));
    json with_usage = request;
    if (request.contains("stream")) with_usage["stream_options"] = {{"include_usage", true}};
    const HttpAnswer answer = Post(with_usage);
    ASSERT_EQ(answer.status, 200);
    EXPECT_EQ(TextOf(answer), "see the ");
    EXPECT_THAT(answer.body, HasSubstr("\"finish_reason\":\"content_filter\""));
    EXPECT_THAT(answer.body, Not(HasSubstr("falcon")));
    EXPECT_THAT(answer.body, HasSubstr("\"completion_tokens\":1"));
    EXPECT_THAT(answer.body, HasSubstr(R"("rule":"project","action":"block")"));
  }
  EXPECT_TRUE(fleet_.worker().WaitForCancelled(2));
}

// --- schema

TEST_F(GovernanceHttpTest, AnAnswerThatBreaksItsSchemaIsAnError) {
  json request = Chat();
  request["response_format"] = json::parse(R"({"type": "json_schema", "json_schema": {"name": "age",
      "schema": {"type": "object", "properties": {"age": {"type": "integer"}},
                 "required": ["age"], "additionalProperties": false}}})");
  fleet_.worker().Behave(Says({"{\"age\": ", "\"old\"}"}));
  const HttpAnswer whole = Post(request);
  EXPECT_EQ(whole.status, 422);
  EXPECT_EQ(CodeOf(whole), "answer_breaks_schema");
  EXPECT_THAT(whole.body, HasSubstr("at /age: must be an integer"));
  EXPECT_THAT(whole.body, Not(HasSubstr("old")));
  // A stream has begun when its end is checked: it ends with the error.
  const HttpAnswer stream = Post(Streamed(request));
  EXPECT_EQ(stream.status, 200);
  EXPECT_THAT(stream.body, HasSubstr("\"code\":\"answer_breaks_schema\""));
  EXPECT_THAT(stream.body, Not(HasSubstr("[DONE]")));
  fleet_.worker().Behave(Says({"{\"age\": ", "7}"}));
  for (const json& form : {request, Streamed(request)}) {
    const HttpAnswer answer = Post(form);
    ASSERT_EQ(answer.status, 200);
    EXPECT_EQ(TextOf(answer), "{\"age\": 7}");
  }
}

// --- audit

TEST_F(GovernanceHttpTest, EveryRequestLeavesOneAuditRecord) {
  ASSERT_EQ(Post(Chat()).status, 200);
  ASSERT_EQ(Post(Chat(), "floe-nobody").status, 401);
  ASSERT_EQ(HttpClient(fleet_.port()).Post(kChat, "{").status, 400);
  fleet_.http().Drain(absl::Seconds(20));
  const std::vector<std::string> lines = fleet_.audit();
  ASSERT_EQ(lines.size(), 3u);
  std::map<int, json> by_status;
  for (const std::string& line : lines) by_status[json::parse(line)["status"]] = json::parse(line);
  EXPECT_EQ(by_status[200]["completion_tokens"], 8);
  EXPECT_EQ(by_status[200]["policy"], fleet_.policies().Current()->digest());
  EXPECT_EQ(by_status[200]["what"], "POST /v1/chat/completions");
  EXPECT_EQ(by_status[401]["code"], "invalid_api_key");
  EXPECT_EQ(by_status[400]["code"], "invalid_json");
}

}  // namespace
}  // namespace floe::gateway
