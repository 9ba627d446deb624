// What began and what ended, through crashes: nothing is silent, and little is said twice.
#include "services/usage/work_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"

#include "tests/support/temp_dir.h"

namespace floe::usage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class WorkJournalTest : public testing::Test {
 protected:
  void Open(int forget_every = 1024) {
    auto work = WorkJournal::Open(
        {.begun = dir_ / "work/begun", .ended = dir_ / "work/ended", .forget_every = forget_every},
        logger_);
    ASSERT_TRUE(work.ok()) << work.status();
    work_ = *std::move(work);
  }
  void End(const std::string& id) {
    work_->End(id, "end of " + id, [](const absl::Status& status) { EXPECT_TRUE(status.ok()); });
  }
  std::vector<std::string> Ended() {
    work_->Sync();
    std::vector<std::string> records;
    const auto entries = work_->ended().ReadAfter(0, 10'000);
    for (const auto& entry : *entries) records.push_back(entry.record);
    return records;
  }
  // Opens what is on disk now, as the next process finds it after this one is killed.
  void KillAndOpen() {
    work_->Sync();
    const test::TempDir copy;
    const auto all = std::filesystem::copy_options::recursive;
    std::filesystem::copy(dir_ / "work", copy / "work", all);
    work_.reset();
    std::filesystem::remove_all(dir_ / "work");
    std::filesystem::copy(copy / "work", dir_ / "work", all);
    Open();
  }

  test::TempDir dir_;
  runtime::Logger logger_{"test", runtime::LogLevel::kError, [](std::string_view) {}};
  std::unique_ptr<WorkJournal> work_;
};

TEST_F(WorkJournalTest, WhatAKilledProcessNeverEndedIsToldByItsBeginning) {
  Open();
  work_->Begin("a", "begin of a");
  work_->Begin("b", "begin of b");
  work_->Begin("c", "begin of c");
  End("b");
  work_->Drop("c");
  KillAndOpen();
  // The end of b stands first, and its taker keeps the first; c comes again since nothing forgot
  // it.
  EXPECT_THAT(Ended(), ElementsAre("end of b", "begin of a", "begin of b", "begin of c"));
  KillAndOpen();
  EXPECT_THAT(Ended(), SizeIs(4)) << "once is enough";
}

TEST_F(WorkJournalTest, AProcessThatEndsInOrderLeavesNothingToTell) {
  Open();
  for (const char* id : {"a", "b", "c"}) work_->Begin(id, "begin");
  End("a");
  End("c");
  work_->Drop("b");
  work_.reset();
  Open();
  EXPECT_THAT(Ended(), ElementsAre("end of a", "end of c"));
}

TEST_F(WorkJournalTest, WhatLiesBeforeTheOldestThatRunsIsForgotten) {
  Open(/*forget_every=*/8);
  for (int i = 0; i < 100; ++i) {
    if (i == 50) work_->Begin("long", "begin of long");
    const std::string id = absl::StrCat(i);
    work_->Begin(id, "begin of " + id);
    End(id);
    work_->Sync();
  }
  KillAndOpen();
  const std::vector<std::string> records = Ended();
  EXPECT_THAT(records, testing::Contains("begin of long"));
  EXPECT_THAT(records, testing::Contains("begin of 60")) << "it stands behind one that runs";
  EXPECT_THAT(records, testing::Not(testing::Contains("begin of 30")));
}

TEST_F(WorkJournalTest, AnEndMayComeWithoutABeginning) {
  Open();
  End("never begun");
  work_->Drop("neither");
  KillAndOpen();
  EXPECT_THAT(Ended(), ElementsAre("end of never begun"));
}

TEST_F(WorkJournalTest, WhatCouldNotBeWrittenHasNotEnded) {
  Open();
  work_->Begin("a", "begin of a");
  absl::Status written;
  work_->End("a", std::string(2 << 20, 'x'), [&](const absl::Status& status) { written = status; });
  EXPECT_FALSE(written.ok());
  KillAndOpen();
  EXPECT_THAT(Ended(), ElementsAre("begin of a"));
}

}  // namespace
}  // namespace floe::usage
