// Guesses: where they come from, how many are made, and that they spare steps and change nothing.
#include "inference/scheduler/draft.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/scheduler/draft_model.h"
#include "inference/scheduler/scheduler.h"
#include "tests/inference/answer.h"
#include "tests/inference/fake_engine.h"

namespace floe::inference {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Tokens = std::vector<int32_t>;

Tokens LookUp(const Tokens& tokens, int64_t most = 3) {
  const auto draft = LookUpDraft(tokens, most);
  return {draft.begin(), draft.end()};
}

TEST(LookUpDraft, IsWhatFollowedTheLongestRunAndOfSeveralTheLatest) {
  EXPECT_THAT(LookUp({7, 8, 1, 2, 3, 7, 8}), ElementsAre(1, 2, 3));
  EXPECT_THAT(LookUp({7, 8, 1, 7, 8, 2, 7, 8}), ElementsAre(2, 7, 8));
  EXPECT_THAT(LookUp({6, 7, 8, 1, 7, 8, 2, 6, 7, 8}), ElementsAre(1, 7, 8));
  EXPECT_THAT(LookUp({7, 8, 1, 2, 3, 7, 8}, 1), ElementsAre(1));
  EXPECT_THAT(LookUp({5, 5, 5}), ElementsAre(5)) << "what followed ends where the sequence does";
}

TEST(LookUpDraft, NeedsTwoIdsThatStoodTogetherBefore) {
  EXPECT_THAT(LookUp({}), IsEmpty());
  EXPECT_THAT(LookUp({1}), IsEmpty());
  EXPECT_THAT(LookUp({1, 1}), IsEmpty());
  EXPECT_THAT(LookUp({8, 1, 2, 8}), IsEmpty());
  EXPECT_THAT(LookUp({7, 8, 1, 7, 8}, 0), IsEmpty());
}

TEST(DraftPace, GrowsWhileAllIsRightAndRestsLongerWithEveryMiss) {
  DraftPace pace;
  EXPECT_EQ(pace.Next(8), 3);
  EXPECT_EQ(pace.Next(2), 2);
  pace.Note(3, 3);
  EXPECT_EQ(pace.Next(8), 6);
  pace.Note(6, 2);
  EXPECT_EQ(pace.Next(8), 3);
  for (int misses = 0, rest = 1; misses < 8; ++misses, rest = std::min(32, 2 * rest)) {
    pace.Note(1, 0);
    for (int i = 0; i < rest; ++i) EXPECT_EQ(pace.Next(8), 0) << misses;
    EXPECT_EQ(pace.Next(8), 1);
  }
  pace.Note(1, 1);
  pace.Note(2, 0);
  EXPECT_EQ(pace.Next(8), 0);
  EXPECT_EQ(pace.Next(8), 1) << "after a right guess, a miss is the first again";
}

class SpeculationTest : public testing::Test {
 protected:
  void SetUp() override {
    gate_.AllowAll();
    draft_gate_.AllowAll();
  }
  // Over the engine that counts upwards, without a thread of its own.
  void Start(SchedulerOptions options = {.speculation = {.max_draft = 7}},
             std::unique_ptr<Engine> draft = nullptr) {
    options.own_thread = false;
    scheduler_ = std::make_unique<Scheduler>(std::make_unique<FakeEngine>(gate_, 32), clock_,
                                             options, std::move(draft));
  }
  // A draft model that counts by `stride`.
  std::unique_ptr<Engine> Draft(int32_t stride) {
    return std::make_unique<FakeEngine>(draft_gate_, 32, stride);
  }
  void Submit(Request request, Answer& answer) {
    ASSERT_TRUE(scheduler_->Submit(std::move(request), answer.sink()).ok());
  }
  void RunAll() {
    while (scheduler_->RunOnce()) {
    }
  }

  SystemClock clock_;
  StepGate gate_, draft_gate_;
  Answer a_, b_;
  std::unique_ptr<Scheduler> scheduler_;
};

// The prompt says 1 to 20 and begins again, and the engine counts on.
Tokens Repeating() {
  Tokens prompt;
  for (int32_t i = 1; i <= 20; ++i) prompt.push_back(i);
  prompt.insert(prompt.end(), {1, 2});
  return prompt;
}

TEST_F(SpeculationTest, RightGuessesSpareSteps) {
  Start();
  Submit(Ask(Repeating(), 18), a_);
  RunAll();
  ASSERT_EQ(a_.ids().size(), 18u);
  for (int32_t i = 0; i < 18; ++i) EXPECT_EQ(a_.ids()[i], 3 + i);
  const SchedulerStats stats = scheduler_->stats();
  EXPECT_LE(stats.steps, 7);
  EXPECT_EQ(stats.accepted_tokens, 18 - stats.steps);
  EXPECT_EQ(stats.drafted_tokens, stats.accepted_tokens);
  EXPECT_EQ(a_.Wait().usage.computed_tokens, 22 + 17);
  EXPECT_EQ(stats.kv.free_blocks, 32);
}

TEST_F(SpeculationTest, WrongGuessesAreTakenBack) {
  Start();
  // Whatever two ids the answer ends in, something else followed them before.
  Tokens prompt;
  for (int32_t i = 0; i < 30; ++i) prompt.insert(prompt.end(), {i, i + 1, 90});
  prompt.push_back(0);
  Request request = Ask(prompt, 25);
  request.cache_salt = "a";
  Submit(std::move(request), a_);
  RunAll();
  ASSERT_EQ(a_.ids().size(), 25u);
  for (int32_t i = 0; i < 25; ++i) EXPECT_EQ(a_.ids()[i], 1 + i);
  const SchedulerStats stats = scheduler_->stats();
  EXPECT_GT(stats.drafted_tokens, 0);
  EXPECT_EQ(stats.accepted_tokens, 0);
  // What was shared is what was said, not what was guessed.
  Tokens next = prompt;
  for (const int32_t id : a_.ids()) next.push_back(id);
  request = Ask(next, 3);
  request.cache_salt = "a";
  Submit(std::move(request), b_);
  RunAll();
  EXPECT_EQ(b_.Wait().usage.cached_tokens, (91 + 24) / 16 * 16);
  EXPECT_THAT(b_.ids(), ElementsAre(26, 27, 28));
}

TEST_F(SpeculationTest, AnAnswerEndsWhereItEndsAmongRightGuesses) {
  Start();
  Request stop = Ask(Repeating(), 18);
  stop.stop_ids = {6};
  Submit(std::move(stop), a_);
  Submit(Ask(Repeating(), 5), b_);
  RunAll();
  EXPECT_THAT(a_.ids(), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(a_.Wait().reason, FinishReason::kStop);
  EXPECT_THAT(b_.ids(), ElementsAre(3, 4, 5, 6, 7));
  EXPECT_EQ(b_.Wait().reason, FinishReason::kLength);
  EXPECT_EQ(scheduler_->stats().kv.free_blocks, 32);
}

TEST_F(SpeculationTest, GuessesTakeOnlyWhatAStepHasToSpare) {
  Start({.speculation = {.max_draft = 7, .max_step_tokens = 6}});
  Submit(Ask(Repeating(), 18), a_);
  Submit(Ask(Repeating(), 18), b_);
  RunAll();
  int64_t guessing = 0;
  for (const auto& parts : gate_.parts()) {
    int64_t tokens = 0;
    for (const int64_t part : parts) tokens += part;
    if (tokens > 6) {
      EXPECT_EQ(parts, (std::vector<int64_t>{22, 22})) << "the prompts";
      continue;
    }
    guessing += tokens > static_cast<int64_t>(parts.size()) ? 1 : 0;
  }
  EXPECT_GT(guessing, 0);
  // With as many decoding as a step with guesses may have tokens, there are none.
  StepGate full;
  full.AllowAll();
  std::vector<Answer> answers(6);
  Scheduler busy(std::make_unique<FakeEngine>(full, 32), clock_,
                 {.speculation = {.max_draft = 7, .max_step_tokens = 6}, .own_thread = false});
  for (Answer& answer : answers) {
    ASSERT_TRUE(busy.Submit(Ask(Repeating(), 4), answer.sink()).ok());
  }
  while (busy.RunOnce()) {
  }
  for (Answer& answer : answers) EXPECT_THAT(answer.ids(), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(busy.stats().drafted_tokens, 0);
}

TEST_F(SpeculationTest, MayBeTurnedOff) {
  Start({.speculation = {.max_draft = 0}});
  Submit(Ask(Repeating(), 18), a_);
  RunAll();
  EXPECT_EQ(scheduler_->stats().drafted_tokens, 0);
  EXPECT_EQ(scheduler_->stats().steps, 18);
}

TEST_F(SpeculationTest, ADraftModelGuessesWhereNothingRepeats) {
  Start({.speculation = {.max_draft = 7}}, Draft(1));
  Submit(Ask({40, 5}, 18), a_);
  Submit(Ask({60, 30}, 4), b_);
  RunAll();
  ASSERT_EQ(a_.ids().size(), 18u);
  for (int32_t i = 0; i < 18; ++i) EXPECT_EQ(a_.ids()[i], 6 + i);
  EXPECT_THAT(b_.ids(), ElementsAre(31, 32, 33, 34));
  const SchedulerStats stats = scheduler_->stats();
  EXPECT_LE(stats.steps, 7);
  EXPECT_EQ(stats.drafted_tokens, stats.accepted_tokens);
  EXPECT_GT(stats.accepted_tokens, 10);
}

TEST_F(SpeculationTest, WhatADraftModelGuessesWronglyIsTakenBack) {
  Start({.speculation = {.max_draft = 7}}, Draft(2));
  Submit(Ask({40, 5}, 18), a_);
  RunAll();
  ASSERT_EQ(a_.ids().size(), 18u);
  for (int32_t i = 0; i < 18; ++i) EXPECT_EQ(a_.ids()[i], 6 + i);
  EXPECT_GT(scheduler_->stats().drafted_tokens, 0);
  EXPECT_EQ(scheduler_->stats().accepted_tokens, 0);
}

TEST_F(SpeculationTest, TheSequenceItselfIsAskedBeforeTheDraftModel) {
  Start({.speculation = {.max_draft = 7}}, Draft(2));
  Submit(Ask(Repeating(), 18), a_);
  RunAll();
  EXPECT_EQ(scheduler_->stats().accepted_tokens, scheduler_->stats().drafted_tokens);
  EXPECT_THAT(draft_gate_.parts(), IsEmpty());
}

class DraftModelTest : public testing::Test {
 protected:
  void SetUp() override { gate_.AllowAll(); }
  Tokens Guess(const Tokens& tokens, int64_t most, int64_t request = 1) {
    DraftModel::Ask ask{request, tokens, &greedy_, most, {}};
    model_.Guess({&ask, 1});
    return ask.guesses;
  }

  StepGate gate_;
  const SamplingParams greedy_;
  DraftModel model_{std::make_unique<FakeEngine>(gate_, 8)};
};

TEST_F(DraftModelTest, RunsOnlyWhatIsNewAndForgetsWhatWasWrong) {
  EXPECT_THAT(Guess({1, 2, 3}, 3), ElementsAre(4, 5, 6));
  EXPECT_THAT(Guess({1, 2, 3, 4, 50}, 2), ElementsAre(51, 52));
  EXPECT_THAT(Guess({1, 2, 3, 4, 50}, 1), ElementsAre(51)) << "the last id is run again";
  using Parts = std::vector<int64_t>;
  EXPECT_THAT(gate_.parts(),
              ElementsAre(Parts{3}, Parts{1}, Parts{1}, Parts{1}, Parts{1}, Parts{1}));
}

TEST_F(DraftModelTest, ReadsALongSequenceOverSeveralCalls) {
  const Tokens prompt(100, 7);
  EXPECT_THAT(Guess(prompt, 2), IsEmpty());
  EXPECT_THAT(Guess(prompt, 2), ElementsAre(8, 9));
}

TEST_F(DraftModelTest, BeginsNothingThatItHasNoRoomToEnd) {
  EXPECT_THAT(Guess(Tokens(200, 7), 1), IsEmpty()) << "eight blocks of 16";
  EXPECT_THAT(Guess(Tokens(FakeEngine::kContext, 7), 1), IsEmpty());
  EXPECT_THAT(gate_.parts(), IsEmpty());
  EXPECT_EQ(model_.kv().free_blocks, 8);
}

TEST_F(DraftModelTest, GivesUpWhereItsMemoryEndsAndTakesNothingWithIt) {
  const Tokens prompt(60, 7);
  EXPECT_THAT(Guess(prompt, 1, 1), ElementsAre(8));
  EXPECT_THAT(Guess(prompt, 1, 2), ElementsAre(8));
  EXPECT_THAT(Guess(prompt, 1, 3), IsEmpty()) << "eight blocks of 16 are taken";
  EXPECT_THAT(Guess(prompt, 4, 1), ElementsAre(8, 9, 10, 11));
  model_.Forget(1);
  model_.Forget(2);
  model_.Forget(2);
  EXPECT_EQ(model_.kv().free_blocks, 8);
  EXPECT_THAT(Guess(prompt, 1, 3), ElementsAre(8));
}

}  // namespace
}  // namespace floe::inference
