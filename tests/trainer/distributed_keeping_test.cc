// Early stopping and rewinds of several ranks: all decide alike, and end in the same bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "tests/support/file_size_limit.h"
#include "tests/trainer/distributed_fixture.h"

namespace floe::trainer {
namespace {

using testing::Contains;
using testing::HasSubstr;

class DistributedKeepingTest : public DistributedTest {
 protected:
  // Runs of two ranks: straight, and interrupted at `steps`, end in the same bytes everywhere.
  std::vector<Result> ExpectTheSameAfterInterruptions(const std::vector<int64_t>& steps) {
    std::vector<Result> straight = Run(2, "straight");
    EXPECT_TRUE(straight[0].status.ok()) << straight[0].status;
    EXPECT_EQ(straight[1].digest, straight[0].digest);
    for (const int64_t step : steps) {
      for (const Result& part : Run(2, "parts", step)) {
        EXPECT_EQ(part.status.code(), absl::StatusCode::kCancelled) << part.status;
      }
    }
    for (const Result& last : Run(2, "parts")) {
      EXPECT_TRUE(last.status.ok()) << last.status;
      EXPECT_EQ(last.digest, straight[0].digest);
    }
    return straight;
  }
};

TEST_F(DistributedKeepingTest, AllStopEarlyAtTheSameStepWithTheBestWeights) {
  LearnTooFast();
  const std::vector<Result> results = ExpectTheSameAfterInterruptions({3});
  const Recorder& told = results[0].recorder;
  EXPECT_THAT(told.lines, Contains(HasSubstr("stopped early: 3 held-out losses in a row")));
  std::vector<double> losses;
  for (const TrainProgress& report : told.reports) losses.push_back(*report.held_out_loss);
  ASSERT_LT(losses.size(), 200u);
  EXPECT_EQ(losses.end() - std::min_element(losses.begin(), losses.end()), 4);
}

TEST_F(DistributedKeepingTest, AllGoBackFromASpikeToTheSameState) {
  MeetStrangeText();
  options_.settings.batch_size = 2;  // a window each
  options_.settings.eval_interval = 1;
  options_.settings.held_out_tokens = 64;
  options_.settings.steps = 70;
  options_.settings.spike_factor = 1.5;
  options_.settings.max_rewinds = 200;
  const std::vector<Result> results = ExpectTheSameAfterInterruptions({23, 58});
  EXPECT_THAT(results[0].recorder.lines, Contains(HasSubstr("(rewind 1 of 200)")));
  EXPECT_GE(results[0].recorder.reports.back().metrics.at("rewinds"), 1);
  EXPECT_THAT(results[1].recorder.lines, testing::IsEmpty());
}

// The state behind which training diverges could not be saved: all take the one before it.
TEST_F(DistributedKeepingTest, AllGoBackFurtherWhereTheStateIsMissing) {
  MeetStrangeText();
  options_.settings.batch_size = 2;
  options_.settings.eval_interval = 1;
  options_.settings.held_out_tokens = 64;
  options_.settings.steps = 70;
  options_.settings.spike_factor = 1.5;
  options_.settings.max_rewinds = 200;
  const std::vector<Result> straight = Run(2, "straight");
  const std::string told = absl::StrJoin(straight[0].recorder.lines, "\n");
  const size_t at = told.find("back to the state of step ");
  ASSERT_NE(at, std::string::npos) << told;
  const int64_t base = std::stoll(told.substr(at + 26));
  std::optional<test::FileSizeLimit> full;
  on_step_ = [&](int64_t step) {
    if (step == base) full.emplace(20'000);
    if (step == base + 1) full.reset();
  };
  const std::vector<Result> results = Run(2, "missing");
  full.reset();
  EXPECT_THAT(results[0].recorder.lines,
              Contains(HasSubstr(absl::StrCat("back to the state of step ", base - 10,
                                              ", as that of step ", base, " is not there"))));
  for (const Result& result : results) {
    EXPECT_TRUE(result.status.ok()) << result.status;
    EXPECT_EQ(result.digest, results[0].digest);
  }
}

}  // namespace
}  // namespace floe::trainer
