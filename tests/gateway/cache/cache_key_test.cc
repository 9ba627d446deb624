// Which requests share an answer, and which must not.
#include "gateway/cache/cache_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>

namespace floe::gateway::cache {
namespace {

// KeyParts with values of its own.
struct Parts {
  std::string team = "nlp";
  std::string policy = "p1";
  std::string checkpoint = "c1";
  std::string tokenizer = "t1";
  std::vector<uint32_t> ids = {1, 2, 3};
  std::vector<size_t> ends = {3};
  Sampling sampling{.seed = 7};
  int64_t max_tokens = 16;
  std::vector<std::string> stop;
  ResponseFormat format;

  Key Of() const {
    return KeyOf(
        {team, policy, checkpoint, tokenizer, ids, ends, sampling, max_tokens, stop, format});
  }
};

TEST(CacheKeyTest, TheSameRequestHasTheSameKey) {
  EXPECT_EQ(Parts().Of().digest, Parts().Of().digest);
  EXPECT_EQ(Parts().Of().team, "nlp");
}

TEST(CacheKeyTest, EverythingThatAnAnswerDependsOnIsInTheKey) {
  const std::vector<std::function<void(Parts&)>> changes = {
      [](Parts&) {},
      [](Parts& p) { p.team = "ml"; },
      [](Parts& p) { p.policy = "p2"; },
      [](Parts& p) { p.checkpoint = "c2"; },
      [](Parts& p) { p.tokenizer = "t2"; },
      [](Parts& p) {
        p.ids = {1, 2, 4};
      },
      [](Parts& p) {
        p.ids = {1, 2};
      },
      [](Parts& p) {
        p.ends = {1, 3};  // two prompts
      },
      [](Parts& p) {
        p.ends = {2, 3};
      },
      [](Parts& p) { p.sampling.seed = 8; },
      [](Parts& p) { p.sampling.seed.reset(); },
      [](Parts& p) { p.sampling.temperature = 0.5; },
      [](Parts& p) { p.sampling.temperature = 0; },
      [](Parts& p) { p.sampling.top_k = 5; },
      [](Parts& p) { p.sampling.top_p = 0.5; },
      [](Parts& p) { p.sampling.min_p = 0.5; },
      [](Parts& p) { p.sampling.presence_penalty = 0.5; },
      [](Parts& p) { p.sampling.frequency_penalty = 0.5; },
      [](Parts& p) { p.sampling.repetition_penalty = 0.5; },
      [](Parts& p) {
        p.sampling.logit_bias = {{7, 1}};
      },
      [](Parts& p) {
        p.sampling.logit_bias = {{7, 2}};
      },
      [](Parts& p) {
        p.sampling.logit_bias = {{8, 1}};
      },
      [](Parts& p) { p.max_tokens = 17; },
      [](Parts& p) { p.stop = {"a"}; },
      [](Parts& p) {
        p.stop = {"a", "b"};
      },
      [](Parts& p) { p.stop = {"ab"}; },
      [](Parts& p) { p.format.kind = ResponseFormat::Kind::kJsonObject; },
      [](Parts& p) {
        p.format = {ResponseFormat::Kind::kJsonSchema, "{}"};
      },
  };
  std::set<std::string> digests;
  for (const auto& change : changes) {
    Parts parts;
    change(parts);
    digests.insert(parts.Of().digest);
  }
  EXPECT_EQ(digests.size(), changes.size());
}

TEST(CacheKeyTest, GreedyAnswersDoNotDependOnASeed) {
  Parts one, two;
  one.sampling = {.temperature = 0, .seed = 1};
  two.sampling = {.temperature = 0, .seed = std::nullopt};
  EXPECT_EQ(one.Of().digest, two.Of().digest);
}

// Random texts over a small alphabet, so that parts run into one another often.
TEST(CacheKeyTest, PartsNeverRunIntoOneAnother) {
  std::mt19937 random(20261124);
  const auto text = [&] {
    std::string text;
    for (size_t n = random() % 4; n > 0; --n) text.push_back("ab\0"[random() % 3]);
    return text;
  };
  std::map<std::string, std::vector<std::string>> seen;
  for (int i = 0; i < 20'000; ++i) {
    Parts parts;
    parts.team = text();
    parts.policy = text();
    parts.checkpoint = text();
    parts.tokenizer = text();
    parts.stop.clear();
    for (size_t n = random() % 3; n > 0; --n) parts.stop.push_back(text());
    std::vector<std::string> whole = {parts.team, parts.policy, parts.checkpoint, parts.tokenizer};
    whole.insert(whole.end(), parts.stop.begin(), parts.stop.end());
    const auto [entry, fresh] = seen.emplace(parts.Of().digest, whole);
    ASSERT_EQ(entry->second, whole);
  }
  EXPECT_GT(seen.size(), 1000u);
}

}  // namespace
}  // namespace floe::gateway::cache
