#include "cli/output/loss_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "cli/output/job_view.h"
#include "cli/output/table.h"

namespace floe::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;

using Metrics = google::protobuf::Map<std::string, double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Metrics Loss(double loss) {
  Metrics metrics;
  metrics["loss"] = loss;
  return metrics;
}

Metrics Loss(double loss, double held_out, double measured) {
  Metrics metrics = Loss(loss);
  metrics["held_out_loss"] = held_out;
  metrics["held_out_step"] = measured;
  return metrics;
}

TEST(LossHistoryTest, StepsDoneAgainReplaceWhatWasLost) {
  LossHistory history;
  history.Add(0, Loss(9));
  history.Add(1, Loss(5));
  history.Add(4, Loss(3));
  history.Add(6, Loss(2));
  history.Add(3, Loss(3.5));
  EXPECT_THAT(history.training(), ElementsAre(Pair(1, 5), Pair(3, 3.5)));
}

TEST(LossHistoryTest, AHeldOutLossStandsOnceAtTheStepWhereItWasMeasured) {
  LossHistory history;
  history.Add(100, Loss(3, 3.1, 100));
  history.Add(130, Loss(2.9, 3.1, 100));
  history.Add(200, Loss(2.5, 2.6, 200));
  EXPECT_THAT(history.held_out(), ElementsAre(Pair(100, 3.1), Pair(200, 2.6)));
  history.Add(150, Loss(2.8, 3.1, 100));  // a later attempt went on from step 100
  EXPECT_THAT(history.held_out(), ElementsAre(Pair(100, 3.1)));
}

TEST(DrawCurvesTest, AFallingLineGoesFromTheTopLeftToTheBottomRight) {
  const auto lines = DrawCurves({{"loss", "", {{1, 4}, {100, 2}}}}, 28, 5);
  ASSERT_THAT(lines, SizeIs(7));
  EXPECT_THAT(lines[0], HasSubstr("  4.000|\u2809"));
  EXPECT_THAT(lines[2], HasSubstr("  3.000|"));
  EXPECT_THAT(lines[4], HasSubstr("  2.000|"));
  EXPECT_THAT(lines[4], testing::EndsWith("\u28C0"));
  EXPECT_EQ(DisplayWidth(lines[4]), 28u);
  EXPECT_EQ(lines[5], "        1                100");
  EXPECT_THAT(lines[6], HasSubstr("loss"));
}

TEST(DrawCurvesTest, MarksStandInFrontAndValuesThatAreNoNumbersAreLeftOut) {
  const auto lines =
      DrawCurves({{"a", "", {{0, 1}, {5, kNan}, {10, 1}}}, {"b", "o", {{5, 1}, {7, kNan}}}}, 40, 3);
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  EXPECT_THAT(all, HasSubstr("o"));
  EXPECT_THAT(all, HasSubstr("  1.000|"));
  EXPECT_THAT(all, Not(HasSubstr("nan")));
}

TEST(DrawCurvesTest, NoLineIsWiderThanAsked) {
  Points points;
  for (int i = 0; i < 500; ++i) points.emplace_back(i, (i * 7919) % 101);
  for (const int width : {20, 33, 80}) {
    for (const std::string& line : DrawCurves({{"a", "", points}}, width, 8)) {
      EXPECT_LE(DisplayWidth(line), static_cast<size_t>(width)) << line;
    }
  }
}

TEST(DrawCurvesTest, ASinglePointOrNoRoomDrawsNothing) {
  EXPECT_THAT(DrawCurves({{"a", "", {{1, 1}}}}, 80, 10), IsEmpty());
  EXPECT_THAT(DrawCurves({{"a", "", {{1, kNan}, {2, kNan}}}}, 80, 10), IsEmpty());
  EXPECT_THAT(DrawCurves({}, 80, 10), IsEmpty());
  EXPECT_THAT(DrawCurves({{"a", "", {{1, 1}, {2, 2}}}}, 12, 10), IsEmpty());
}

jobs::v1::JobEvent At(int64_t step, double loss) {
  jobs::v1::JobEvent event;
  event.mutable_progress()->set_step(step);
  event.mutable_progress()->set_steps(10);
  (*event.mutable_progress()->mutable_metrics())["loss"] = loss;
  return event;
}

TEST(JobViewCurveTest, ATerminalRedrawsTheCurveInItsPlaceAndLogsStandAboveIt) {
  std::ostringstream out;
  JobView view(out, true, 80, absl::Seconds(10));
  const absl::Time now = absl::FromUnixSeconds(1000);
  view.Show(At(1, 4), now);
  EXPECT_THAT(out.str(), Not(HasSubstr("|"))) << "one point is no curve";
  view.Show(At(2, 3), now + absl::Seconds(1));
  EXPECT_THAT(out.str(), HasSubstr("  4.000|"));
  out.str("");
  view.Show(At(3, 2), now + absl::Seconds(2));
  EXPECT_THAT(out.str(), HasSubstr("\x1b[12A\r\x1b[J")) << "ten rows, the steps, the legend";
  EXPECT_THAT(out.str(), HasSubstr("  2.000|"));
  out.str("");
  jobs::v1::JobEvent log;
  log.mutable_log()->set_level("info");
  log.mutable_log()->set_text("state saved");
  view.Show(log, now + absl::Seconds(3));
  EXPECT_THAT(out.str(), HasSubstr("\x1b[12A\r\x1b[J\r\x1b[Kstate saved\n"));
  EXPECT_THAT(out.str(), HasSubstr("  2.000|"));
}

TEST(JobViewCurveTest, WhatWasMeasuredBeforeIsInTheCurve) {
  std::ostringstream out;
  JobView view(out, true, 80, absl::Seconds(10));
  jobs::v1::JobMetrics past;
  past.set_step(1);
  (*past.mutable_metrics())["loss"] = 8;
  view.Remember(past);
  view.Show(At(2, 3), absl::FromUnixSeconds(1000));
  EXPECT_THAT(out.str(), HasSubstr("  8.000|"));
}

}  // namespace
}  // namespace floe::cli
