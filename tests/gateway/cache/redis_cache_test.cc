// Answers in a real Redis.
#include "gateway/cache/redis/redis_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "tests/gateway/asio_run.h"
#include "tests/support/redis.h"

namespace floe::gateway::cache {
namespace {

using Found = std::optional<CachedAnswers>;

class RedisCacheTest : public testing::Test {
 protected:
  Found Find(const Key& key) {
    auto found = RunToEnd(cache_.Find(key));
    EXPECT_TRUE(found.ok()) << found.status();
    return found.value_or(std::nullopt);
  }
  Key NewKey(const std::string& team = "nlp") {
    return {team, absl::StrCat(testing::UnitTest::GetInstance()->current_test_info()->name(), "-",
                               ++made_)};
  }

  redis::Client client_{
      {.address = {.socket = test::Redis::Shared().socket()}, .reply_timeout = absl::Seconds(20)}};
  RedisCache cache_{client_};
  int made_ = 0;
};

TEST_F(RedisCacheTest, GivesBackWhatWasStored) {
  const Key key = NewKey();
  EXPECT_EQ(Find(key), std::nullopt);
  const CachedAnswers answers = {{"Grüße \"quoted\"\n", FinishReason::kLength, 12},
                                 {"", FinishReason::kStop, 1}};
  cache_.Store(key, answers, absl::Minutes(1));
  EXPECT_EQ(Find(key), Found(answers));
}

TEST_F(RedisCacheTest, AnswersEnd) {
  const Key key = NewKey();
  cache_.Store(key, {{"short", FinishReason::kStop, 1}}, absl::Milliseconds(20));
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (Find(key) && absl::Now() < give_up) {
  }
  EXPECT_EQ(Find(key), std::nullopt);
}

TEST_F(RedisCacheTest, AnotherTeamFindsNothingUnderTheSameDigest) {
  const Key key = NewKey("nlp");
  cache_.Store(key, {{"secret", FinishReason::kStop, 1}}, absl::Minutes(1));
  EXPECT_EQ(Find({"ml", key.digest}), std::nullopt);
}

TEST_F(RedisCacheTest, AValueUnderAForeignKeyIsNotBelieved) {
  const Key ours = NewKey("nlp");
  const Key theirs = NewKey("ml");
  cache_.Store(theirs, {{"secret", FinishReason::kStop, 1}}, absl::Minutes(1));
  const auto name = [](const Key& key) {
    return absl::StrCat("floe:cache:{", key.team, "}:", key.digest);
  };
  ASSERT_TRUE(RunToEnd(client_.Run({"RENAME", name(theirs), name(ours)})).ok());
  EXPECT_EQ(Find(ours), std::nullopt);
}

TEST_F(RedisCacheTest, DamagedValuesAreNotThere) {
  const Key key = NewKey();
  const std::string name = absl::StrCat("floe:cache:{nlp}:", key.digest);
  for (const std::string value :
       {"", "x", "[]", "{}", "{\"team\":\"nlp\"}",
        absl::StrCat("{\"team\":\"nlp\",\"digest\":\"", key.digest, "\",\"answers\":1}").c_str(),
        absl::StrCat("{\"team\":\"nlp\",\"digest\":\"", key.digest, "\",\"answers\":[{}]}")
            .c_str()}) {
    ASSERT_TRUE(RunToEnd(client_.Run({"SET", name, value})).ok());
    EXPECT_EQ(Find(key), std::nullopt) << value;
  }
}

// Reading a value copies its parts, by recursion: brackets without end would use up the stack.
TEST_F(RedisCacheTest, AValueThatNestsWithoutEndIsNotThere) {
  constexpr size_t kBrackets = 1'000'000;
  const Key key = NewKey();
  const std::string name = absl::StrCat("floe:cache:{nlp}:", key.digest);
  const std::string deep = std::string(kBrackets, '[') + std::string(kBrackets, ']');
  const std::string whose = absl::StrCat(R"({"team":"nlp","digest":")", key.digest, R"(",)");
  const std::string answer = R"("reason":"stop","completion_tokens":1)";
  for (const std::string& value :
       {absl::StrCat(whose, R"("answers":)", deep, "}"),
        absl::StrCat(whose, R"("answers":[{"text":)", deep, ",", answer, "}]}"),
        // What nobody asks for makes it no better.
        absl::StrCat(whose, R"("answers":[{"text":"x",)", answer, R"(,"more":)", deep, "}]}")}) {
    ASSERT_TRUE(RunToEnd(client_.Run({"SET", name, value})).ok());
    EXPECT_EQ(Find(key), std::nullopt);
  }
}

TEST_F(RedisCacheTest, VeryLongAnswersAreNotKept) {
  const Key key = NewKey();
  cache_.Store(
      key,
      {{std::string(kMaxAnswerBytes, 'x'), FinishReason::kStop, 1}, {"y", FinishReason::kStop, 1}},
      absl::Minutes(1));
  EXPECT_EQ(Find(key), std::nullopt);
}

// Stores under random teams and digests; a team only ever finds what it stored itself.
TEST_F(RedisCacheTest, NothingCrossesTeams) {
  std::mt19937 random(7);
  const std::vector<std::string> teams = {"a", "b", "a-b", "ab", "a.b", "default"};
  std::map<std::pair<std::string, std::string>, std::string> stored;
  for (int i = 0; i < 2000; ++i) {
    const std::string& team = teams[random() % teams.size()];
    const std::string digest = absl::StrCat("cross-", random() % 50);
    if (random() % 2 == 0) {
      const std::string text = absl::StrCat(team, "|", digest, "|", i);
      cache_.Store({team, digest}, {{text, FinishReason::kStop, 1}}, absl::Minutes(5));
      stored[{team, digest}] = text;
      continue;
    }
    const Found found = Find({team, digest});
    const auto expected = stored.find({team, digest});
    ASSERT_EQ(found.has_value(), expected != stored.end());
    if (found) {
      ASSERT_EQ(found->at(0).text, expected->second);
    }
  }
}

TEST(RedisCacheFaultsTest, ACacheThatIsAwaySaysSo) {
  test::TempDir dir;
  redis::Client client({.address = {.socket = dir / "none.sock"}});
  RedisCache cache(client);
  cache.Store({"nlp", "d"}, {{"text", FinishReason::kStop, 1}}, absl::Minutes(1));
  EXPECT_EQ(RunToEnd(cache.Find({"nlp", "d"})).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace floe::gateway::cache
