// What a run keeps, when it stops before its end, and how it goes back when it diverges.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/trainer/pretrainer_fixture.h"
#include "trainer/state_store.h"

namespace floe::trainer {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;

class KeepingTest : public PretrainerTest {
 protected:
  std::vector<int64_t> StepsOf(const std::string& name) {
    return StateStore::Open(folder_ / name / "states").value().Steps();
  }
};

TEST_F(KeepingTest, TheNewestStatesMilestonesAndTheBestStay) {
  options_.settings.keep_every = 10;
  options_.settings.keep_last = 3;
  Recorder recorder;
  ASSERT_TRUE(Make("a")->Run(recorder, {}).ok());
  EXPECT_THAT(StepsOf("a"), ElementsAre(10, 15, 20));
  options_.settings.keep_best = true;
  options_.settings.keep_every = 5;
  Recorder again;
  ASSERT_TRUE(Make("b")->Run(again, {}).ok());
  const auto best = std::min_element(again.reports.begin(), again.reports.end(),
                                     [](const TrainProgress& a, const TrainProgress& b) {
                                       return *a.held_out_loss < *b.held_out_loss;
                                     });
  EXPECT_THAT(StepsOf("b"), Contains(best->step));
  EXPECT_THAT(StepsOf("b"), IsSupersetOf({5, 10, 15, 20}));
}

TEST_F(KeepingTest, StopsEarlyAndExportsTheBestWeights) {
  LearnTooFast();
  Recorder recorder;
  const auto pretrainer = Make("a");
  const auto outcome = pretrainer->Run(recorder, {});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_LT(outcome->steps, 200);
  std::vector<double> losses;
  for (const TrainProgress& report : recorder.reports) losses.push_back(*report.held_out_loss);
  const auto best = std::min_element(losses.begin(), losses.end());
  EXPECT_EQ(losses.end() - best, 4) << "three behind the best were no better";
  EXPECT_EQ(outcome->held_out_loss, *best) << "measured again, with the weights that are exported";
  EXPECT_THAT(recorder.lines, Contains(HasSubstr("stopped early: 3 held-out losses in a row")));
}

TEST_F(KeepingTest, AnEarlyStopIsTheSameAfterAnInterruption) {
  LearnTooFast();
  Recorder whole, first, second, third;
  const auto straight = Make("a");
  const auto outcome = straight->Run(whole, {});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_GT(outcome->steps, 4);
  // In the middle of the steps that are no better.
  EXPECT_EQ(RunUntil(outcome->steps - 1, "b", first).code(), absl::StatusCode::kCancelled);
  const auto resumed = Make("b");
  ASSERT_TRUE(resumed->Run(second, {}).ok());
  EXPECT_EQ(second.reports.size(), 1u);
  const std::string exported = Export(*straight, "a");
  EXPECT_EQ(Export(*resumed, "b"), exported);
  const auto again = Make("b");  // as after a kill while it published
  ASSERT_TRUE(again->Run(third, {}).ok());
  EXPECT_TRUE(third.reports.empty());
  std::filesystem::create_directory(folder_ / "c");
  EXPECT_EQ(Export(*again, "c"), exported);
}

TEST_F(KeepingTest, ASpikeGoesBackToTheLastStateAndPastItsData) {
  MeetStrangeText();
  Recorder recorder;
  const auto outcome = Make("a")->Run(recorder, {});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->steps, 130);
  EXPECT_EQ(outcome->tokens, 130 * 32) << "what was skipped was not trained on";
  EXPECT_THAT(recorder.lines, Contains(testing::AllOf(HasSubstr("times the recent mean"),
                                                      HasSubstr("(rewind 1 of 20)"))));
  EXPECT_GE(recorder.reports.back().metrics.at("rewinds"), 1);
}

TEST_F(KeepingTest, ARunWithRewindsIsTheSameAfterInterruptions) {
  MeetStrangeText();
  options_.settings.eval_interval = 1;
  options_.settings.held_out_tokens = 64;
  Recorder whole;
  const auto straight = Make("a");
  ASSERT_TRUE(straight->Run(whole, {}).ok());
  ASSERT_TRUE(whole.reports.back().metrics.contains("rewinds"));
  for (const int64_t step : {23, 57, 58, 101}) {
    Recorder part;
    EXPECT_EQ(RunUntil(step, "b", part).code(), absl::StatusCode::kCancelled);
  }
  Recorder last;
  const auto resumed = Make("b");
  ASSERT_TRUE(resumed->Run(last, {}).ok());
  EXPECT_EQ(last.reports.back().metrics.at("rewinds"), whole.reports.back().metrics.at("rewinds"));
  EXPECT_EQ(Export(*resumed, "b"), Export(*straight, "a"));
}

TEST_F(KeepingTest, WhatDivergesAgainAndAgainFailsWithTheCount) {
  options_.settings.learning_rate = 10;
  options_.settings.min_learning_rate = 10;
  options_.settings.grad_clip = 0;
  options_.settings.weight_decay = 10;  // each step multiplies weights by 1 - 100
  options_.settings.steps = 200;
  options_.settings.checkpoint_interval = 100;
  options_.settings.max_rewinds = 2;
  Recorder recorder;
  const absl::Status diverged = Make("a")->Run(recorder, {}).status();
  EXPECT_EQ(diverged.code(), absl::StatusCode::kFailedPrecondition) << diverged;
  EXPECT_THAT(diverged.message(), HasSubstr("after 2 rewinds"));
  EXPECT_THAT(recorder.lines, Contains(HasSubstr("back to the state of step 0 (rewind 2 of 2)")));
}

}  // namespace
}  // namespace floe::trainer
