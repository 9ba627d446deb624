// How likely the ids of a prompt are, told beside an answer: the bits of a score, however the
// prompt was cut, cached or pre-empted, and an answer that is the same as without.
#include <cmath>

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

using testing::HasSubstr;

Request Telling(std::vector<int32_t> prompt, int64_t max_tokens) {
  Request request = Ask(std::move(prompt), max_tokens);
  request.top_logprobs = 2;
  request.prompt_logprobs = true;
  return request;
}

std::vector<int32_t> IdsOf(const std::vector<TokenLogProbabilities>& told) {
  std::vector<int32_t> ids;
  for (const TokenLogProbabilities& one : told) ids.push_back(one.id);
  return ids;
}

// The next id is the last one plus 1.
class PromptLogProbsTest : public testing::Test {
 protected:
  void Start(SchedulerOptions options = {}) {
    gate_.AllowAll();
    scheduler_ =
        std::make_unique<Scheduler>(std::make_unique<FakeEngine>(gate_, 64), clock_, options);
  }
  Finish Run(Request request, Answer& answer) {
    const absl::Status status = scheduler_->Submit(std::move(request), answer.sink()).status();
    EXPECT_TRUE(status.ok()) << status;
    return status.ok() ? answer.Wait() : Finish{};
  }

  SystemClock clock_;
  StepGate gate_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(PromptLogProbsTest, EveryIdIsToldOnceAndTheFirstWithoutAValue) {
  Start({.plan = {.max_running = 4, .max_step_tokens = 8, .prefill_tokens = 8}});
  for (const int length : {1, 2, 8, 9, 30}) {
    std::vector<int32_t> prompt;
    for (int32_t i = 0; i < length; ++i) prompt.push_back(i);
    Answer answer;
    EXPECT_EQ(Run(Telling(prompt, 3), answer).reason, FinishReason::kLength);
    EXPECT_EQ(answer.ids(), (std::vector<int32_t>{length, length + 1, length + 2}));
    EXPECT_EQ(answer.logprobs().size(), 3u);
    ASSERT_EQ(IdsOf(answer.prompt_logprobs()), prompt);
    for (int i = 0; i < length; ++i) {
      const TokenLogProbabilities& one = answer.prompt_logprobs()[i];
      EXPECT_EQ(one.first, i == 0);
      ASSERT_EQ(one.top.size(), i == 0 ? 0u : 2u);
      if (i == 0) continue;
      EXPECT_EQ(one.top[0].id, i);
      EXPECT_NEAR(one.log_probability, -0.0045, 1e-3);
    }
  }
}

TEST_F(PromptLogProbsTest, WithoutAnAnswerThePromptMayFillTheContext) {
  Start();
  const std::vector<int32_t> prompt(FakeEngine::kContext, 1);
  Answer answer;
  const Finish finish = Run(Telling(prompt, 0), answer);
  EXPECT_EQ(finish.reason, FinishReason::kLength);
  EXPECT_EQ(finish.usage.completion_tokens, 0);
  EXPECT_EQ(finish.usage.computed_tokens, FakeEngine::kContext);
  EXPECT_TRUE(answer.ids().empty());
  EXPECT_EQ(IdsOf(answer.prompt_logprobs()), prompt);
  Answer refused;
  const absl::Status status = scheduler_->Submit(Telling(prompt, 1), refused.sink()).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("room for an answer"));
  Request nothing = Ask({1}, 0);
  nothing.top_logprobs = 1;
  EXPECT_TRUE(
      absl::IsInvalidArgument(scheduler_->Submit(std::move(nothing), refused.sink()).status()));
}

TEST_F(PromptLogProbsTest, NothingOfItComesFromTheCacheAndOthersMayTakeItFromThere) {
  Start();
  const std::vector<int32_t> prompt(40, 1);
  const auto ask = [&](bool telling) {
    Request request = telling ? Telling(prompt, 1) : Ask(prompt, 1);
    request.cache_salt = "nlp";
    Answer answer;
    const Finish finish = Run(std::move(request), answer);
    EXPECT_EQ(answer.prompt_logprobs().size(), telling ? 40u : 0u);
    return finish.usage.cached_tokens;
  };
  EXPECT_EQ(ask(true), 0);
  EXPECT_EQ(ask(false), 32);
  EXPECT_EQ(ask(true), 0);
}

TEST_F(PromptLogProbsTest, OfAnAnswerThatMovedHereOnlyWhatWasAsked) {
  Start();
  Request request = Telling({1, 2, 3, 4, 5}, 1);
  request.continued = 2;
  Answer answer;
  Run(std::move(request), answer);
  EXPECT_EQ(IdsOf(answer.prompt_logprobs()), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(answer.ids(), std::vector<int32_t>{6});
}

// What is told of a prompt of 45 ids, and the answer, beside `others`.
struct Told {
  std::vector<float> values;
  std::vector<int32_t> ids;
  bool operator==(const Told&) const = default;
};

class PromptLogProbsWithEngine : public testing::Test {
 protected:
  Request Prompt() const {
    Request request;
    for (int i = 0; i < 45; ++i) request.prompt.push_back((i * 11 + 5) % 64);
    request.tier = ServiceTier::kFlex;
    return request;
  }
  std::unique_ptr<Scheduler> Start(int64_t blocks, int64_t step_tokens) {
    auto engine = CreateCpuEngine(checkpoint_, {.kv_bytes = blocks * KvBlockBytes(blueprint_)});
    SchedulerOptions options;
    options.plan.max_step_tokens = step_tokens;
    return std::make_unique<Scheduler>(*std::move(engine), clock_, options);
  }
  Told Tell(int64_t blocks, int64_t step_tokens, int others, bool tells = true) {
    std::vector<Answer> beside(static_cast<size_t>(others));
    Answer answer;
    const auto scheduler = Start(blocks, step_tokens);
    Request request = Prompt();
    request.max_tokens = 20;
    request.sampling = {.temperature = 1, .seed = 7};
    request.top_logprobs = 0;
    request.prompt_logprobs = tells;
    EXPECT_TRUE(scheduler->Submit(std::move(request), answer.sink()).ok());
    for (int i = 0; i < others; ++i) {
      Request other = Ask({1, 2, 3 + i}, 40);
      other.tier = ServiceTier::kPriority;
      EXPECT_TRUE(scheduler->Submit(std::move(other), beside[i].sink()).ok());
    }
    EXPECT_TRUE(answer.Wait().status.ok());
    for (Answer& one : beside) one.Wait();
    Told told{{}, answer.ids()};
    for (const TokenLogProbabilities& one : answer.prompt_logprobs()) {
      if (!one.first) told.values.push_back(one.log_probability);
    }
    return told;
  }

  const SystemClock clock_;
  const model::Blueprint blueprint_ = TinyBlueprint(model::Family::kQwen3);
  const model::Checkpoint checkpoint_ = FormulaCheckpoint(blueprint_);
};

TEST_F(PromptLogProbsWithEngine, AreTheBitsOfAScoreWhateverElseRunsAndHoweverOftenItIsPreempted) {
  Answer scored;
  const auto scheduler = Start(64, 256);
  Request score = Prompt();
  score.score_from = 1;
  ASSERT_TRUE(scheduler->Submit(std::move(score), scored.sink()).ok());
  ASSERT_EQ(scored.Wait().reason, FinishReason::kScored);
  const Told alone = Tell(64, 256, 0);
  ASSERT_EQ(alone.values.size(), scored.scores().size());
  for (size_t i = 0; i < alone.values.size(); ++i) {
    EXPECT_EQ(alone.values[i], scored.scores()[i].log_probability) << i;
  }
  EXPECT_EQ(alone.ids, Tell(64, 256, 0, /*tells=*/false).ids);
  EXPECT_EQ(Tell(64, 7, 0), alone);
  EXPECT_EQ(Tell(64, 16, 6), alone);
  EXPECT_EQ(Tell(6, 8, 3), alone);
}

}  // namespace
}  // namespace floe::inference
