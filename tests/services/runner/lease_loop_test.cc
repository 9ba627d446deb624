// How attempts end, and folders.
#include "services/runner/lease_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <future>

#include "services/runner/work_folder.h"
#include "tests/support/temp_dir.h"

namespace floe::runner {
namespace {

using jobs::Outcome;
using testing::HasSubstr;

TEST(EndOfTest, SuccessStandsWhateverWasAskedFor) {
  for (const auto reason : {std::optional<StopReason>(), std::optional(StopReason::kCancelled),
                            std::optional(StopReason::kHandBack)}) {
    const auto end = EndOf(std::string("teams/nlp/tokenizers/t"), reason);
    EXPECT_EQ(end.outcome, Outcome::kSucceeded);
    EXPECT_EQ(end.result, "teams/nlp/tokenizers/t");
  }
}

TEST(EndOfTest, TheCodeDecidesWhetherItIsTriedAgain) {
  using absl::StatusCode;
  for (const StatusCode code :
       {StatusCode::kUnavailable, StatusCode::kAborted, StatusCode::kResourceExhausted,
        StatusCode::kDeadlineExceeded, StatusCode::kInternal}) {
    EXPECT_EQ(EndOf(absl::Status(code, "x"), std::nullopt).outcome, Outcome::kFailedRetryable);
  }
  for (const StatusCode code :
       {StatusCode::kInvalidArgument, StatusCode::kFailedPrecondition, StatusCode::kNotFound,
        StatusCode::kDataLoss, StatusCode::kCancelled, StatusCode::kUnknown}) {
    EXPECT_EQ(EndOf(absl::Status(code, "x"), std::nullopt).outcome, Outcome::kFailedPermanent);
  }
  EXPECT_EQ(EndOf(absl::DataLossError("loss is NaN"), std::nullopt).error,
            "DATA_LOSS: loss is NaN");
}

TEST(EndOfTest, AStoppedAttemptIsCancelledOrHandedBack) {
  const absl::Status stopped = absl::CancelledError("stopped");
  EXPECT_EQ(EndOf(stopped, StopReason::kCancelled).outcome, Outcome::kCancelled);
  EXPECT_EQ(EndOf(stopped, StopReason::kHandBack).outcome, Outcome::kHandedBack);
  EXPECT_EQ(EndOf(absl::DataLossError("NaN"), StopReason::kHandBack).outcome,
            Outcome::kFailedPermanent)
      << "a failure on the way out is a failure";
}

TEST(WorkFolderTest, IsThereWithWhatAnEarlierAttemptLeft) {
  const test::TempDir dir;
  {
    const auto folder = WorkFolder::Open(dir.path(), "trainer-1");
    ASSERT_TRUE(folder.ok()) << folder.status();
    std::ofstream(folder->path() / "checkpoint") << "7";
  }
  auto again = WorkFolder::Open(dir.path(), "trainer-1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(std::filesystem::exists(again->path() / "checkpoint"));
  ASSERT_TRUE(again->Remove().ok());
  EXPECT_FALSE(std::filesystem::exists(dir / "trainer-1"));
}

TEST(WorkFolderTest, BelongsToOneAtATime) {
  const test::TempDir dir;
  std::optional<WorkFolder> first = *WorkFolder::Open(dir.path(), "trainer-1");
  const auto second = WorkFolder::Open(dir.path(), "trainer-1");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(WorkFolder::Open(dir.path(), "trainer-2").ok());
  std::stop_source stop;
  auto waiting = std::async(std::launch::async, [&] {
    return WorkFolder::OpenWhenFree(dir.path(), "trainer-1", stop.get_token()).ok();
  });
  first.reset();
  EXPECT_TRUE(waiting.get());
}

TEST(WorkFolderTest, StopsWaitingWhenAsked) {
  const test::TempDir dir;
  const auto first = WorkFolder::Open(dir.path(), "trainer-1");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(WorkFolder::OpenWhenFree(dir.path(), "trainer-1", stop.get_token()).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(WorkFolderTest, AJobIdIsNoPath) {
  const test::TempDir dir;
  EXPECT_EQ(WorkFolder::Open(dir.path(), "../trainer-1").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace floe::runner
