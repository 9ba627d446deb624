// Numbers, tables, progress lines and exit codes as people and scripts see them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cli/output/exit_code.h"
#include "cli/output/human.h"
#include "cli/output/inspection_view.h"
#include "cli/output/job_view.h"
#include "cli/output/table.h"

namespace floe::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace pb = jobs::v1;

TEST(HumanTest, BytesNeverShowAThousandOfAUnit) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1024), "1.0 KiB");
  EXPECT_EQ(HumanBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(HumanBytes(10'881'616), "10.4 MiB");
  EXPECT_EQ(HumanBytes(int64_t{150} << 30), "150 GiB");
}

TEST(InspectionViewTest, ShowsBeforeAndAfterTheStrongestHeadsAndNoControlCharacters) {
  trainer::Inspection before{.subject = "fresh weights, seed 1", .loss = 5.5};
  before.components = {{"ffn", 300, 0.75}, {"attention", 100, 0.25}, {"head", 0, 0}};
  before.layers = {{.read_out_loss = 5.5, .heads = std::vector<trainer::HeadRoles>(20)}};
  before.neighbours = {{" ice", {{"\x1b[2J", 0.25}}}};
  trainer::Inspection after = before;
  after.subject = "teams/nlp/models/lexicon/versions/3";
  after.layers[0].read_out_loss = 2.25;
  after.layers[0].heads[17].induction = 0.875;
  after.neighbours = {{" ice", {{" snow", 0.75}}}};
  const std::string view = InspectionView({4096, before, after});
  EXPECT_THAT(view, HasSubstr("before: fresh weights, seed 1"));
  EXPECT_THAT(view, HasSubstr("4,096 tokens"));
  EXPECT_THAT(view, HasSubstr("75.0 %"));
  EXPECT_THAT(view, Not(HasSubstr("head       ")));  // no parameters, no line
  EXPECT_THAT(view, HasSubstr("5.500 -> 2.250"));
  EXPECT_THAT(view, HasSubstr("0.17"));
  EXPECT_THAT(view, HasSubstr("0.000 -> 0.875"));
  EXPECT_THAT(view, HasSubstr("the strongest 16 of 20"));
  EXPECT_THAT(view, HasSubstr("' snow' 0.75"));
  EXPECT_THAT(view, HasSubstr("'\\x1b[2J' 0.25"));
  EXPECT_THAT(view, Not(HasSubstr("\x1b")));
}

TEST(HumanTest, CountsQuantitiesAndDurations) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(-1234567), "-1,234,567");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanQuantity(12'345), "12.3k");
  EXPECT_EQ(HumanQuantity(999.6), "1.00k");
  EXPECT_EQ(HumanQuantity(6'738'415'616), "6.74B");
  EXPECT_EQ(HumanDuration(absl::Milliseconds(850)), "850 ms");
  EXPECT_EQ(HumanDuration(absl::Seconds(185)), "3 min 05 s");
  EXPECT_EQ(HumanDuration(absl::Hours(50)), "2 d 2 h");
}

TEST(HumanTest, TimesAndNames) {
  EXPECT_EQ(HumanTime(absl::FromUnixSeconds(1767225600), absl::UTCTimeZone()),
            "2026-01-01 00:00:00");
  EXPECT_EQ(HumanTime(absl::UnixEpoch(), absl::UTCTimeZone()), "-");
  EXPECT_EQ(LastId("teams/nlp/models/hamlet"), "hamlet");
  EXPECT_EQ(LastId("hamlet"), "hamlet");
  EXPECT_EQ(ShortDigest(""), "-");
}

TEST(TableTest, AlignsTextLeftAndNumbersRight) {
  Table table({"NAME", ">SIZE", "NOTE"});
  table.Add({"a", "5", "x"});
  table.Add({"longer", "12,345", ""});
  EXPECT_EQ(table.Render(),
            "NAME      SIZE  NOTE\n"
            "a            5  x\n"
            "longer  12,345\n");
}

TEST(TableTest, CountsCodePointsNotBytes) {
  Table table({"N", "V"});
  table.Add({"größe", "1"});
  table.Add({"size", "2"});
  EXPECT_THAT(table.Render(), HasSubstr("größe  1\nsize   2\n"));
}

TEST(ExitCodeTest, EveryCodeThatIsDocumented) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("")), 1);
  EXPECT_EQ(ExitCodeOf(absl::AbortedError("")), 1);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("")), 2);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), 3);
  EXPECT_EQ(ExitCodeOf(absl::UnauthenticatedError("")), 4);
  EXPECT_EQ(ExitCodeOf(absl::PermissionDeniedError("")), 4);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), 5);
  EXPECT_EQ(ExitCodeOf(absl::ResourceExhaustedError("")), 5);
  EXPECT_EQ(ExitCodeOf(JobFailedError("")), 6);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("")), 7);
  for (int code = 0; code <= 7; ++code) {
    EXPECT_THAT(ExitCodeHelp(), HasSubstr(absl::StrCat("\n  ", code, "  ")));
  }
}

int64_t Lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

pb::JobEvent ProgressAt(int64_t step, int64_t steps) {
  pb::JobEvent event;
  event.mutable_progress()->set_step(step);
  event.mutable_progress()->set_steps(steps);
  auto& metrics = *event.mutable_progress()->mutable_metrics();
  metrics["loss"] = 4.2131;
  metrics["held_out_loss"] = 4.5;
  metrics["tokens_per_second"] = 12'345;
  metrics["gflops"] = 85.21;
  metrics["learning_rate"] = 1e-3;
  event.mutable_progress()->mutable_remaining()->set_seconds(125);
  return event;
}

TEST(JobViewTest, ProgressLineTellsAllThatIsAsked) {
  EXPECT_EQ(ProgressLine(ProgressAt(300, 1200).progress(), 8),
            "[##------]  25%  step 300/1,200  loss 4.213  held-out 4.500  12.3k tok/s"
            "  85.2 GFLOP/s  2 min 05 s left");
}

TEST(JobViewTest, MemoryHasItsUnit) {
  pb::Progress progress;
  (*progress.mutable_metrics())["peak_memory_bytes"] = 364.0 * (1 << 20);
  (*progress.mutable_metrics())["gemm_peak_share"] = 0.674;
  EXPECT_THAT(ProgressLine(progress, 4), HasSubstr("  67% of GEMM peak  peak 364 MiB"));
}

TEST(JobViewTest, WithoutStepsNothingDividesByZero) {
  EXPECT_THAT(ProgressLine(pb::Progress(), 4), HasSubstr("[----]   0%"));
}

TEST(JobViewTest, ATerminalLineIsRedrawnAndLogsStandAboveIt) {
  std::ostringstream out;
  JobView view(out, true, 50, absl::Seconds(10));  // too narrow for a curve
  const absl::Time now = absl::FromUnixSeconds(1000);
  view.Show(ProgressAt(1, 10), now);
  view.Show(ProgressAt(2, 10), now);
  pb::JobEvent log;
  log.mutable_log()->set_level("info");
  log.mutable_log()->set_text("checkpoint written");
  view.Show(log, now);
  view.Finish();
  EXPECT_THAT(out.str(), HasSubstr("\r\x1b[K[#-------]  20%"));
  EXPECT_THAT(out.str(), HasSubstr("\r\x1b[Kcheckpoint written\n["));
}

TEST(JobViewTest, ATerminalLineIsNeverWiderThanTheTerminal) {
  std::ostringstream out;
  JobView view(out, true, 40, absl::Seconds(10));
  view.Show(ProgressAt(1, 10), absl::FromUnixSeconds(1000));
  EXPECT_EQ(out.str().size(), std::string("\r\x1b[K").size() + 39);
}

TEST(JobViewTest, PlainLinesComeEveryTwentiethPartOrInterval) {
  std::ostringstream out;
  JobView view(out, false, 100, absl::Seconds(10));
  const absl::Time start = absl::FromUnixSeconds(1000);
  for (int step = 0; step <= 1000; ++step) view.Show(ProgressAt(step, 1000), start);
  view.Finish();
  EXPECT_EQ(Lines(out.str()), 21);
  EXPECT_THAT(out.str(), HasSubstr("step 1,000/1,000"));
  EXPECT_THAT(out.str(), Not(HasSubstr("\x1b")));

  out.str("");
  JobView slow(out, false, 100, absl::Seconds(10));
  for (int second = 0; second <= 40; ++second) {
    slow.Show(ProgressAt(1, 1000), start + absl::Seconds(second));
  }
  EXPECT_EQ(Lines(out.str()), 5);
}

TEST(JobViewTest, TheLastProgressIsNotLost) {
  std::ostringstream out;
  JobView view(out, false, 100, absl::Seconds(10));
  view.Show(ProgressAt(1, 1000), absl::FromUnixSeconds(1000));
  view.Show(ProgressAt(2, 1000), absl::FromUnixSeconds(1001));
  EXPECT_THAT(out.str(), Not(HasSubstr("step 2/")));
  view.Finish();
  EXPECT_THAT(out.str(), HasSubstr("step 2/"));
}

TEST(JobViewTest, SamplesAreIndented) {
  std::ostringstream out;
  JobView view(out, false, 100, absl::Seconds(10));
  pb::JobEvent sample;
  sample.mutable_log()->set_level("sample");
  sample.mutable_log()->set_text("one\ntwo");
  view.Show(sample, absl::FromUnixSeconds(1000));
  EXPECT_EQ(out.str(), "  | one\n  | two\n");
}

}  // namespace
}  // namespace floe::cli
