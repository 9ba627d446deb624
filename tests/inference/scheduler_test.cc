// The scheduler as its callers see it, over an engine whose steps a test lets through one by one,
// and at the end over the real one. One file, since all of it stands on that gate.
#include "inference/scheduler/scheduler.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/cpu_engine.h"
#include "inference/engine/kv_cache.h"
#include "tests/inference/answer.h"
#include "tests/inference/fake_engine.h"
#include "tests/inference/tiny_checkpoint.h"

namespace floe::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SchedulerTest : public testing::Test {
 protected:
  void Start(int64_t blocks, SchedulerOptions options = {}) {
    scheduler_ =
        std::make_unique<Scheduler>(std::make_unique<FakeEngine>(gate_, blocks), clock_, options);
  }
  void TearDown() override { gate_.AllowAll(); }

  RequestId Submit(Request request, Answer& answer) {
    const auto id = scheduler_->Submit(std::move(request), answer.sink());
    EXPECT_TRUE(id.ok()) << id.status();
    return id.value_or(0);
  }

  SystemClock clock_;
  StepGate gate_;
  Answer a_, b_, c_;
  std::unique_ptr<Scheduler> scheduler_;  // ends before the answers
};

TEST_F(SchedulerTest, GeneratesUntilMaxTokens) {
  Start(16);
  gate_.AllowAll();
  Submit(Ask({5, 6, 7}, 4), a_);
  const Finish finish = a_.Wait();
  EXPECT_EQ(finish.reason, FinishReason::kLength);
  EXPECT_TRUE(finish.status.ok());
  EXPECT_THAT(a_.ids(), ElementsAre(8, 9, 10, 11));
  EXPECT_EQ(finish.usage.prompt_tokens, 3);
  EXPECT_EQ(finish.usage.completion_tokens, 4);
  EXPECT_EQ(finish.usage.computed_tokens, 6);
  EXPECT_LE(finish.usage.queue_time, finish.usage.time_to_first_token);
  EXPECT_LE(finish.usage.time_to_first_token, finish.usage.total_time);
  EXPECT_TRUE(scheduler_->WaitIdle(absl::Seconds(10)));
  EXPECT_EQ(scheduler_->stats().kv.free_blocks, 16);
  EXPECT_EQ(scheduler_->stats().generation_tokens, 4);
}

TEST_F(SchedulerTest, StopsAtAStopIdAndAtTheContext) {
  Start(64);
  gate_.AllowAll();
  Request stop = Ask({5}, 50);
  stop.stop_ids = {9, 7};
  Submit(std::move(stop), a_);
  EXPECT_EQ(a_.Wait().reason, FinishReason::kStop);
  EXPECT_THAT(a_.ids(), ElementsAre(6, 7));
  Submit(Ask(std::vector<int32_t>(FakeEngine::kContext - 3, 1), 50), b_);
  EXPECT_EQ(b_.Wait().reason, FinishReason::kLength);
  EXPECT_THAT(b_.ids(), ElementsAre(2, 3, 4));
}

TEST_F(SchedulerTest, NothingOfAStopTextLeaves) {
  Start(16);
  gate_.AllowAll();
  Request request = Ask({64}, 30);
  request.text = std::make_unique<LetterStream>();
  request.stop = {"EFG", "never"};
  Submit(std::move(request), a_);
  EXPECT_EQ(a_.Wait().reason, FinishReason::kStop);
  EXPECT_EQ(a_.text(), "ABCD");
  EXPECT_EQ(a_.ids().size(), 7u);
  Request open = Ask({64}, 6);
  open.text = std::make_unique<LetterStream>();
  open.stop = {"EFG"};
  Submit(std::move(open), b_);
  EXPECT_EQ(b_.Wait().reason, FinishReason::kLength);
  EXPECT_EQ(b_.text(), "ABCDEF");
}

// Ids 65, 66, … are "A", "B", …; the stop text begins before the move and ends behind it.
TEST_F(SchedulerTest, AnAnswerThatMovesHereGoesOnAsIfItHadBeenHere) {
  Start(16);
  gate_.AllowAll();
  const auto ask = [](std::vector<int32_t> prompt, int64_t max_tokens, int64_t continued) {
    Request request = Ask(std::move(prompt), max_tokens);
    request.stop = {"DEF"};
    request.text = std::make_unique<LetterStream>();
    request.continued = continued;
    return request;
  };
  Submit(ask({64}, 9, 0), a_);
  EXPECT_EQ(a_.Wait().reason, FinishReason::kStop);
  EXPECT_EQ(a_.text(), "ABC");
  for (const int64_t made : {1, 3, 4, 5}) {  // before, and in the middle of, the stop text
    std::vector<int32_t> prompt = {64};
    for (int64_t i = 0; i < made; ++i) prompt.push_back(static_cast<int32_t>(65 + i));
    Answer moved;
    Submit(ask(std::move(prompt), 9 - made, made), moved);
    const Finish finish = moved.Wait();
    EXPECT_EQ(moved.text(), "ABC") << made;
    EXPECT_EQ(finish.reason, FinishReason::kStop);
    EXPECT_EQ(finish.usage.completion_tokens, 6 - made);
  }
}

TEST_F(SchedulerTest, WhatContinuesMustHaveAPrompt) {
  Start(16);
  for (const int64_t continued : {-1, 2, 3}) {
    Request request = Ask({5, 6}, 4);
    request.continued = continued;
    const auto id = scheduler_->Submit(std::move(request), a_.sink());
    EXPECT_THAT(std::string(id.status().message()), HasSubstr("continued_ids"));
  }
}

TEST_F(SchedulerTest, NoRequestWaitsForAnotherToFinish) {
  Start(64);
  Submit(Ask({1}, 400), a_);
  gate_.WaitForStep(1);
  Submit(Ask({1}, 2), b_);
  gate_.Allow(3);  // a alone, then both, then both
  EXPECT_EQ(b_.Wait().reason, FinishReason::kLength);
  EXPECT_FALSE(a_.finished());
}

TEST_F(SchedulerTest, ALongPromptDoesNotStallADecoder) {
  Start(64, {.plan = {.max_running = 4, .max_step_tokens = 64, .prefill_tokens = 16}});
  Submit(Ask({1}, 100), a_);
  gate_.WaitForStep(1);
  Submit(Ask(std::vector<int32_t>(160, 1), 1), b_);
  gate_.Allow(11);
  b_.Wait();
  EXPECT_EQ(a_.ids().size(), 11u);
  EXPECT_THAT(gate_.parts()[1], ElementsAre(1, 16));
}

TEST_F(SchedulerTest, AFullQueueRefusesInRequestsAndInTokens) {
  Start(64, {.plan = {.max_running = 1}, .queue = {2, 100}});
  Submit(Ask({1}, 100), a_);
  gate_.WaitForStep(1);
  Submit(Ask(std::vector<int32_t>(60, 1), 1), b_);
  Answer refused;
  const auto tokens = scheduler_->Submit(Ask(std::vector<int32_t>(60, 1), 1), refused.sink());
  EXPECT_EQ(tokens.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(tokens.status().message(), HasSubstr("60 of 100 prompt tokens wait"));
  Submit(Ask({1}, 1), c_);
  const auto requests = scheduler_->Submit(Ask({1}, 1), refused.sink());
  EXPECT_EQ(requests.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(requests.status().message(), HasSubstr("2 of 2 requests"));
  EXPECT_EQ(scheduler_->stats().rejected, 2);
  gate_.AllowAll();
  EXPECT_TRUE(b_.Wait().status.ok());
  EXPECT_TRUE(c_.Wait().status.ok());
}

TEST_F(SchedulerTest, CancelFreesBlocksWithinAStepWhileDecodingInThePromptAndQueued) {
  Start(64, {.plan = {.max_running = 2, .max_step_tokens = 32, .prefill_tokens = 16}});
  const RequestId decoding = Submit(Ask({1}, 400), a_);
  gate_.WaitForStep(1);
  const RequestId in_prompt = Submit(Ask(std::vector<int32_t>(200, 1), 10), b_);
  gate_.Allow(2);
  gate_.WaitForStep(3);  // b has had 32 of its 200 tokens: two blocks; a one
  const RequestId queued = Submit(Ask({1}, 10), c_);
  scheduler_->Cancel(queued);
  scheduler_->Cancel(in_prompt);
  gate_.Allow(1);
  EXPECT_EQ(c_.Wait().status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(b_.Wait().reason, FinishReason::kCancelled);
  EXPECT_EQ(scheduler_->stats().kv.free_blocks, 63);
  EXPECT_EQ(c_.Wait().usage.computed_tokens, 0);
  gate_.WaitForStep(4);
  EXPECT_THAT(gate_.parts()[3], ElementsAre(1));  // the next step is a's alone
  scheduler_->Cancel(decoding);
  gate_.Allow(1);
  EXPECT_EQ(a_.Wait().reason, FinishReason::kCancelled);
  EXPECT_EQ(scheduler_->stats().kv.free_blocks, 64);
  EXPECT_TRUE(scheduler_->WaitIdle(absl::Seconds(10)));
  scheduler_->Cancel(decoding);  // is not there any more
}

TEST_F(SchedulerTest, AnEmbeddingIsTheMeanHiddenStateOfLengthOne) {
  Start(16);
  gate_.AllowAll();
  Request request = Ask({1, 2, 6}, 0);
  request.embed = true;
  Submit(std::move(request), a_);
  const Finish finish = a_.Wait();
  EXPECT_EQ(finish.reason, FinishReason::kEmbedded);
  EXPECT_EQ(finish.usage.completion_tokens, 0);
  EXPECT_EQ(finish.usage.computed_tokens, 3);
  EXPECT_TRUE(a_.ids().empty());
  // The mean of (t, 1, t^2, -t) over 1, 2, 6 is (3, 1, 41 / 3, -3).
  const double length = std::sqrt(9 + 1 + 41.0 * 41.0 / 9 + 9);
  ASSERT_EQ(a_.embedding().size(), 4u);
  EXPECT_FLOAT_EQ(a_.embedding()[0], static_cast<float>(3 / length));
  EXPECT_FLOAT_EQ(a_.embedding()[1], static_cast<float>(1 / length));
  EXPECT_FLOAT_EQ(a_.embedding()[2], static_cast<float>(41 / 3.0 / length));
  EXPECT_FLOAT_EQ(a_.embedding()[3], static_cast<float>(-3 / length));
}

TEST_F(SchedulerTest, AnEmbeddingMayFillTheWholeContext) {
  Start(64);
  gate_.AllowAll();
  Request request = Ask(std::vector<int32_t>(FakeEngine::kContext, 3), 0);
  request.embed = true;
  Submit(std::move(request), a_);
  EXPECT_EQ(a_.Wait().reason, FinishReason::kEmbedded);
  Request longer = Ask(std::vector<int32_t>(FakeEngine::kContext + 1, 3), 0);
  longer.embed = true;
  const auto refused = scheduler_->Submit(std::move(longer), b_.sink());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("context is 512"));
}

TEST(EmbeddingTest, IsTheSameWhateverElseRunsAndHoweverOftenItIsPreempted) {
  const SystemClock clock;
  model::Blueprint blueprint = TinyBlueprint(model::Family::kQwen3);
  const model::Checkpoint checkpoint = FormulaCheckpoint(blueprint);
  const auto embed = [&](int64_t blocks, int64_t step_tokens, int others) {
    auto engine = CreateCpuEngine(checkpoint, {.kv_bytes = blocks * KvBlockBytes(blueprint)});
    EXPECT_TRUE(engine.ok());
    SchedulerOptions options;
    options.plan.max_step_tokens = step_tokens;
    std::vector<Answer> beside(static_cast<size_t>(others));
    Answer answer;
    {
      Scheduler scheduler(*std::move(engine), clock, options);
      Request request;
      request.embed = true;
      for (int i = 0; i < 45; ++i) request.prompt.push_back((i * 11 + 5) % 64);
      request.tier = ServiceTier::kFlex;
      EXPECT_TRUE(scheduler.Submit(std::move(request), answer.sink()).ok());
      for (int i = 0; i < others; ++i) {
        Request other = Ask({1, 2, 3 + i}, 40);
        other.tier = ServiceTier::kPriority;
        EXPECT_TRUE(scheduler.Submit(std::move(other), beside[i].sink()).ok());
      }
      EXPECT_EQ(answer.Wait().reason, FinishReason::kEmbedded);
      for (Answer& one : beside) one.Wait();
    }
    return answer.embedding();
  };
  const std::vector<float> alone = embed(64, 256, 0);
  ASSERT_EQ(alone.size(), 32u);
  EXPECT_EQ(embed(64, 7, 0), alone);
  EXPECT_EQ(embed(64, 16, 6), alone);
  EXPECT_EQ(embed(6, 8, 3), alone);
}

TEST_F(SchedulerTest, ExhaustedKvPreemptsAndStillFinishesEveryoneWithTheSameTokens) {
  Start(4);
  Submit(Ask({1, 2}, 40), a_);
  Submit(Ask({3, 4}, 40), b_);
  Submit(Ask({5, 6}, 40), c_);
  gate_.AllowAll();  // once all are there: none of them is through before the others come
  for (Answer* answer : {&a_, &b_, &c_}) EXPECT_EQ(answer->Wait().reason, FinishReason::kLength);
  for (const auto& [answer, first] : {std::pair{&a_, 3}, std::pair{&b_, 5}, std::pair{&c_, 7}}) {
    const std::vector<int32_t> ids = answer->ids();
    ASSERT_EQ(ids.size(), 40u);
    for (int i = 0; i < 40; ++i) EXPECT_EQ(ids[i], first + i);
  }
  EXPECT_GT(scheduler_->stats().preemptions, 0);
  EXPECT_TRUE(scheduler_->WaitIdle(absl::Seconds(10)));
  EXPECT_EQ(scheduler_->stats().kv.free_blocks, 4);
}

TEST_F(SchedulerTest, WhatCanNeverFitIsRefusedAtOnce) {
  Start(2);
  const auto status = scheduler_->Submit(Ask({1}, 33), a_.sink()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("need 3 KV blocks, the worker has 2"));
  gate_.AllowAll();
  Submit(Ask({1}, 32), b_);
  EXPECT_EQ(b_.Wait().usage.completion_tokens, 32);
}

TEST_F(SchedulerTest, BadRequestsAreNamed) {
  Start(64);
  const auto message = [&](Request request) {
    const auto status = scheduler_->Submit(std::move(request), a_.sink()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message(Ask({}, 1)), HasSubstr("no ids"));
  EXPECT_THAT(message(Ask({1, 100}, 1)), HasSubstr("id 100 at index 1"));
  EXPECT_THAT(message(Ask({-1}, 1)), HasSubstr("id -1"));
  EXPECT_THAT(message(Ask({1}, 0)), HasSubstr("max_tokens is 0"));
  EXPECT_THAT(message(Ask(std::vector<int32_t>(512, 1), 1)), HasSubstr("context is 512"));
  Request stop = Ask({1}, 1);
  stop.stop = {"x"};
  EXPECT_THAT(message(std::move(stop)), HasSubstr("stop_ids"));
  Request sampling = Ask({1}, 1);
  sampling.sampling.top_p = 2;
  EXPECT_THAT(message(std::move(sampling)), HasSubstr("top_p"));
  Request score = Ask({1, 2}, 0);
  score.score_from = 2;
  EXPECT_THAT(message(std::move(score)), HasSubstr("score_from is 2"));
}

TEST_F(SchedulerTest, ScoresGivenIdsInChunks) {
  Start(64, {.plan = {.max_running = 4, .max_step_tokens = 8, .prefill_tokens = 8}});
  gate_.AllowAll();
  Request request = Ask({}, 0);
  for (int32_t i = 0; i < 30; ++i) request.prompt.push_back(i);
  request.prompt[20] = 99;
  request.score_from = 10;
  Submit(std::move(request), a_);
  EXPECT_EQ(a_.Wait().reason, FinishReason::kScored);
  ASSERT_EQ(a_.scores().size(), 20u);
  for (int i = 0; i < 20; ++i) {
    const bool surprising = i == 10 || i == 11;  // 99 itself, and what follows it
    EXPECT_EQ(a_.scores()[i].greedy, !surprising) << i;
    EXPECT_NEAR(a_.scores()[i].log_probability, surprising ? -10.0045 : -0.0045, 1e-3) << i;
  }
}

TEST_F(SchedulerTest, GivesLogProbabilitiesWhenAsked) {
  Start(16);
  gate_.AllowAll();
  Request request = Ask({5}, 2);
  request.top_logprobs = 3;
  Submit(std::move(request), a_);
  a_.Wait();
  ASSERT_EQ(a_.logprobs().size(), 2u);
  EXPECT_EQ(a_.logprobs()[1].id, 7);
  EXPECT_EQ(a_.logprobs()[1].top.size(), 3u);
  EXPECT_EQ(a_.logprobs()[1].top[0].id, 7);
}

TEST_F(SchedulerTest, DrainingRefusesNewWorkAndFinishesOld) {
  Start(16);
  Submit(Ask({1}, 3), a_);
  scheduler_->StopAccepting();
  EXPECT_EQ(scheduler_->Submit(Ask({1}, 3), b_.sink()).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_FALSE(scheduler_->WaitIdle(absl::ZeroDuration()));
  gate_.AllowAll();
  EXPECT_TRUE(scheduler_->WaitIdle(absl::Seconds(10)));
  EXPECT_TRUE(a_.Wait().status.ok());
}

TEST_F(SchedulerTest, EndingTellsEveryoneWhoIsLeft) {
  Start(16, {.plan = {.max_running = 1}});
  Submit(Ask({1}, 100), a_);
  Submit(Ask({1}, 100), b_);
  gate_.Allow(1);
  gate_.WaitForStep(2);
  // The engine stands at the gate, so the scheduler cannot be gone before the gate opens; once it
  // refuses work, it knows that it is to end.
  Scheduler& ending = *scheduler_;
  std::thread end([this] { scheduler_.reset(); });
  while (!absl::IsUnavailable(ending.Submit(Ask({1}, 1), [](const Event&) {}).status())) {
    std::this_thread::yield();
  }
  gate_.AllowAll();
  end.join();
  EXPECT_EQ(a_.Wait().status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(b_.Wait().status.code(), absl::StatusCode::kUnavailable);
}

// The real engine: sampled answers do not depend on company, chunks or pre-emption.
TEST(SchedulerWithEngine, AnswersDoNotDependOnWhatElseRuns) {
  const model::Blueprint blueprint = TinyBlueprint(model::Family::kQwen3);
  const model::Checkpoint checkpoint = FormulaCheckpoint(blueprint);
  const SystemClock clock;
  const auto request = [](int i) {
    Request r = Ask({}, 20 + i % 7);
    for (int k = 0; k < 1 + 5 * i % 23; ++k) r.prompt.push_back((7 * i + 3 * k) % 64);
    r.sampling = {.temperature = i % 3 == 0 ? 0.0f : 1.0f, .top_k = 20, .seed = 77};
    return r;
  };
  const auto run = [&](int64_t blocks, int64_t max_running) {
    auto engine = CreateCpuEngine(checkpoint, {.kv_bytes = blocks * KvBlockBytes(blueprint)});
    EXPECT_TRUE(engine.ok());
    std::vector<Answer> answers(12);
    std::vector<std::vector<int32_t>> ids;
    Scheduler scheduler(*std::move(engine), clock,
                        {.plan = {max_running, 24, 7}, .queue = {.requests = 100}});
    for (int i = 0; i < 12; ++i) {
      EXPECT_TRUE(scheduler.Submit(request(i), answers[i].sink()).ok());
    }
    for (Answer& answer : answers) {
      EXPECT_TRUE(answer.Wait().status.ok());
      ids.push_back(answer.ids());
    }
    EXPECT_EQ(scheduler.stats().preemptions > 0, blocks < 10);
    return ids;
  };
  const auto alone = run(100, 1);
  EXPECT_EQ(run(100, 12), alone);
  EXPECT_EQ(run(6, 12), alone);
}

}  // namespace
}  // namespace floe::inference
