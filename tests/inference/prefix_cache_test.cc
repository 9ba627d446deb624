// What the prefix cache spares the scheduler's requests, and that it changes nothing else.
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/cpu_engine.h"
#include "inference/engine/kv_cache.h"
#include "inference/scheduler/scheduler.h"
#include "tests/inference/answer.h"
#include "tests/inference/fake_engine.h"
#include "tests/inference/tiny_checkpoint.h"

namespace floe::inference {
namespace {

std::vector<int32_t> Ids(int32_t first, int n) {
  std::vector<int32_t> ids;
  for (int i = 0; i < n; ++i) ids.push_back((first + 7 * i) % 60);
  return ids;
}

Request Salted(std::string salt, std::vector<int32_t> prompt, int64_t max_tokens) {
  Request request = Ask(std::move(prompt), max_tokens);
  request.cache_salt = std::move(salt);
  return request;
}

class PrefixCacheTest : public testing::Test {
 protected:
  void Start(int64_t blocks, SchedulerOptions options = {}) {
    scheduler_ =
        std::make_unique<Scheduler>(std::make_unique<FakeEngine>(gate_, blocks), clock_, options);
  }
  void TearDown() override { gate_.AllowAll(); }
  Usage Run(Request request) {
    Answer answer;
    EXPECT_TRUE(scheduler_->Submit(std::move(request), answer.sink()).ok());
    return answer.Wait().usage;
  }

  SystemClock clock_;
  StepGate gate_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(PrefixCacheTest, APromptIsComputedFromWhereTheCacheEnds) {
  Start(32);
  gate_.AllowAll();
  EXPECT_EQ(Run(Salted("a", Ids(1, 40), 3)).cached_tokens, 0);
  const Usage warm = Run(Salted("a", Ids(1, 50), 3));
  EXPECT_EQ(warm.cached_tokens, 32);
  EXPECT_EQ(warm.computed_tokens, 50 - 32 + 2);
  EXPECT_EQ(warm.prompt_tokens, 50);
  // At least the last token of a prompt is computed: its logits are what is asked for.
  EXPECT_EQ(Run(Salted("a", Ids(1, 32), 1)).cached_tokens, 16);
  EXPECT_EQ(Run(Salted("b", Ids(1, 50), 1)).cached_tokens, 0);
  EXPECT_EQ(Run(Ask(Ids(1, 50), 1)).cached_tokens, 0);
  const SchedulerStats stats = scheduler_->stats();
  EXPECT_EQ(stats.prefix_cache_queries, 40 + 50 + 32 + 50);
  EXPECT_EQ(stats.prefix_cache_hits, 32 + 16);
  EXPECT_EQ(stats.kv.free_blocks, 32);
}

TEST_F(PrefixCacheTest, AnAnswerIsPartOfTheNextPrompt) {
  Start(32);
  gate_.AllowAll();
  Run(Salted("a", {1}, 40));  // answers 2, 3, …
  std::vector<int32_t> turn;
  for (int32_t i = 1; i < 50; ++i) turn.push_back(i);
  EXPECT_EQ(Run(Salted("a", turn, 1)).cached_tokens, 32);
}

TEST_F(PrefixCacheTest, RequestsThatRunAtOnceShare) {
  Start(8);
  Answer first, second;
  ASSERT_TRUE(scheduler_->Submit(Salted("a", Ids(1, 64), 9), first.sink()).ok());
  gate_.Allow(1);
  gate_.WaitForStep(2);
  // Each alone takes five of the eight blocks.
  ASSERT_TRUE(scheduler_->Submit(Salted("a", Ids(1, 64), 9), second.sink()).ok());
  gate_.AllowAll();
  EXPECT_EQ(second.Wait().usage.cached_tokens, 48);
  EXPECT_EQ(first.Wait().reason, FinishReason::kLength);
  EXPECT_EQ(scheduler_->stats().preemptions, 0);
}

// A score needs the logits from score_from on, and an embedding every hidden state.
TEST_F(PrefixCacheTest, ScoresTakeWhatIsBeforeThemAndEmbeddingsNothing) {
  Start(32);
  gate_.AllowAll();
  Run(Salted("a", Ids(1, 60), 1));
  Request score = Salted("a", Ids(1, 60), 0);
  score.score_from = 40;
  EXPECT_EQ(Run(std::move(score)).cached_tokens, 32);
  Request all = Salted("a", Ids(1, 60), 0);
  all.score_from = 1;
  EXPECT_EQ(Run(std::move(all)).cached_tokens, 0);
  Request embedding = Salted("a", Ids(1, 60), 0);
  embedding.embed = true;
  EXPECT_EQ(Run(std::move(embedding)).cached_tokens, 0);
}

// The youngest loses its blocks to the oldest, and comes back before those that came after it,
// computing only what was taken meanwhile.
TEST_F(PrefixCacheTest, AVictimKeepsItsPlaceAndWhatIsLeftOfItsBlocks) {
  gate_.AllowAll();
  for (const char* salt : {"", "a"}) {
    Scheduler scheduler(std::make_unique<FakeEngine>(gate_, 8), clock_, {.own_thread = false});
    Answer old, victim, late;
    ASSERT_TRUE(scheduler.Submit(Ask(Ids(1, 40), 12), old.sink()).ok());
    ASSERT_TRUE(scheduler.Submit(Salted(salt, Ids(2, 75), 20), victim.sink()).ok());
    // The old one needs its fourth block when the other holds five, with 80 tokens.
    while (scheduler.stats().preemptions == 0) ASSERT_TRUE(scheduler.RunOnce());
    ASSERT_TRUE(scheduler.Submit(Ask({3}, 1), late.sink()).ok());
    while (!old.finished()) ASSERT_TRUE(scheduler.RunOnce());
    EXPECT_FALSE(late.finished()) << "there was a block for it, but it was not its turn";
    while (scheduler.RunOnce()) {
    }
    const Usage usage = victim.Wait().usage;
    EXPECT_EQ(victim.ids().size(), 20u);
    EXPECT_EQ(usage.cached_tokens, 0) << "its own tokens do not count as found";
    EXPECT_EQ(usage.computed_tokens, 75 + 19 + 16) << "one block was taken";
    EXPECT_TRUE(late.finished());
    EXPECT_EQ(scheduler.stats().preemptions, 1);
    EXPECT_EQ(scheduler.stats().kv.free_blocks, 8);
  }
}

TEST_F(PrefixCacheTest, BlocksAreCountedByTheTimeThatTheyAreHeld) {
  class StepClock final : public Clock {
   public:
    absl::Time Now() const override { return absl::UnixEpoch() + Monotonic(); }
    absl::Duration Monotonic() const override { return absl::Seconds(now.load()); }
    std::atomic<int64_t> now = 0;
  } clock;
  {
    Scheduler scheduler(std::make_unique<FakeEngine>(gate_, 8), clock, {.own_thread = false});
    gate_.AllowAll();
    Answer answer;
    ASSERT_TRUE(scheduler.Submit(Ask(Ids(1, 15), 3), answer.sink()).ok());
    clock.now = 10;  // a wait holds nothing
    scheduler.RunOnce();
    clock.now = 13;
    scheduler.RunOnce();  // the 16th token fills the first block
    clock.now = 18;
    scheduler.RunOnce();  // and the 17th takes another
    EXPECT_EQ(answer.Wait().usage.kv_block_time, absl::Seconds(3 * 1 + 5 * 2));
  }
}

// The real engine: cold and warm, the same logits to the last bit.
TEST(PrefixCacheWithEngine, WarmAnswersEqualColdOnes) {
  for (const auto family : {model::Family::kQwen3, model::Family::kGpt2}) {
    const model::Blueprint blueprint = TinyBlueprint(family);
    const auto engine =
        CreateCpuEngine(FormulaCheckpoint(blueprint), {.kv_bytes = 16 * KvBlockBytes(blueprint)});
    ASSERT_TRUE(engine.ok());
    std::vector<int32_t> tokens = Ids(3, 60);
    const auto run = [&](std::string_view salt, int64_t expect_cached) {
      const SequenceId id = (*engine)->Open(salt);
      const int64_t cached = (*engine)->Adopt(id, std::span(tokens).first(59));
      EXPECT_EQ(cached, expect_cached);
      std::vector<std::vector<float>> rows;
      Logits logits;
      for (size_t at = cached; at < tokens.size(); ++at) {
        const SequenceStep step{id, std::span(tokens).subspan(at, 1)};
        EXPECT_TRUE((*engine)->Step({&step, 1}, &logits).ok());
        const auto row = logits.Row(0);
        rows.emplace_back(row.begin(), row.end());
      }
      (*engine)->Share(id, tokens);
      (*engine)->Close(id);
      return rows;
    };
    const auto cold = run("t", 0);
    const auto warm = run("t", 48);
    EXPECT_EQ(std::vector(cold.end() - 12, cold.end()), warm);
    tokens[20] = 9;  // shares one block
    const auto other_cold = run("", 0);
    const auto other_warm = run("t", 16);
    EXPECT_EQ(std::vector(other_cold.begin() + 16, other_cold.end()), other_warm);
  }
}

}  // namespace
}  // namespace floe::inference
