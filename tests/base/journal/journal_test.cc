#include "base/journal/journal.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/temp_dir.h"

namespace floe {
namespace {

class JournalTest : public testing::Test {
 protected:
  std::unique_ptr<Journal> Open(uint64_t segment_bytes = 8 << 20) {
    auto journal = Journal::Open({.folder = folder(), .segment_bytes = segment_bytes});
    EXPECT_TRUE(journal.ok()) << journal.status();
    return *std::move(journal);
  }
  std::filesystem::path folder() const { return dir_.path() / "journal"; }
  std::vector<std::filesystem::path> Segments() const {
    std::vector<std::filesystem::path> found;
    for (const auto& file : std::filesystem::directory_iterator(folder())) {
      if (file.path().extension() == ".log") found.push_back(file.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  static std::vector<std::string> Records(const Journal& journal, uint64_t after = 0) {
    std::vector<std::string> records;
    const auto entries = journal.ReadAfter(after, 1000);
    for (const auto& entry : *entries) records.push_back(entry.record);
    return records;
  }

  test::TempDir dir_;
};

TEST_F(JournalTest, KeepsRecordsInOrderOverRestarts) {
  {
    const auto journal = Open();
    ASSERT_TRUE(journal->AppendAndWait("one").ok());
    ASSERT_TRUE(journal->AppendAndWait("").ok());
  }
  const auto journal = Open();
  ASSERT_TRUE(journal->AppendAndWait(std::string("\0\xff", 2)).ok());
  EXPECT_THAT(Records(*journal), testing::ElementsAre("one", "", std::string("\0\xff", 2)));
  EXPECT_THAT(Records(*journal, 2), testing::ElementsAre(std::string("\0\xff", 2)));
}

TEST_F(JournalTest, NothingIsReportedAsDurableBeforeTheDiskHasIt) {
  int synced = 0, reported = 0;  // on the journal's thread, until Sync() has returned
  const auto journal = *Journal::Open({.folder = folder(), .sync = [&](int fd) {
                                         EXPECT_EQ(reported, synced) << "before its sync returned";
                                         const int result = ::fdatasync(fd);
                                         ++synced;
                                         return result;
                                       }});
  for (int i = 1; i <= 3; ++i) {
    journal->Append("r", [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok());
      EXPECT_EQ(++reported, synced);
    });
    journal->Sync();
    EXPECT_EQ(reported, i);
    EXPECT_EQ(journal->stats().appended, static_cast<uint64_t>(i));
  }
}

TEST_F(JournalTest, WhatTheDiskRefusesIsReportedAndGone) {
  bool broken = false;
  const auto journal = *Journal::Open({.folder = folder(), .sync = [&](int fd) {
                                         if (!broken) return ::fdatasync(fd);
                                         errno = EIO;
                                         return -1;
                                       }});
  ASSERT_TRUE(journal->AppendAndWait("one").ok());
  broken = true;
  const absl::Status refused = journal->AppendAndWait("two");
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("cannot sync"));
  EXPECT_EQ(journal->stats().appended, 1u);
  broken = false;
  ASSERT_TRUE(journal->AppendAndWait("three").ok());
  EXPECT_THAT(Records(*journal), testing::ElementsAre("one", "three"));
}

TEST_F(JournalTest, AcknowledgedRecordsLeaveTheDiskAndStayAcknowledged) {
  {
    const auto journal = Open(64);
    for (int i = 1; i <= 50; ++i) ASSERT_TRUE(journal->AppendAndWait(absl::StrCat("r", i)).ok());
    const size_t before = Segments().size();
    ASSERT_GT(before, 5u);
    ASSERT_TRUE(journal->Acknowledge(40).ok());
    EXPECT_LT(Segments().size(), before / 2);
    EXPECT_EQ(journal->stats().pending(), 10u);
  }
  const auto journal = Open(64);
  EXPECT_EQ(journal->stats().taken, 40u);
  EXPECT_EQ(journal->stats().appended, 50u);
  EXPECT_EQ(Records(*journal, 40).size(), 10u);
  EXPECT_EQ(Records(*journal, 40).front(), "r41");
}

TEST_F(JournalTest, PositionsGoOnAfterEverythingWasTaken) {
  {
    const auto journal = Open(16);
    for (int i = 0; i < 9; ++i) ASSERT_TRUE(journal->AppendAndWait("a record").ok());
    ASSERT_TRUE(journal->Acknowledge(9).ok());
  }
  const auto journal = Open(16);
  ASSERT_TRUE(journal->AppendAndWait("next").ok());
  EXPECT_EQ(journal->ReadAfter(9, 10)->front().position, 10u);
}

TEST_F(JournalTest, ARecordThatWasCutOffAtTheEndIsDropped) {
  for (const size_t cut : {1u, 5u, 9u, 11u}) {
    std::filesystem::remove_all(folder());
    {
      const auto journal = Open();
      ASSERT_TRUE(journal->AppendAndWait("first").ok());
      ASSERT_TRUE(journal->AppendAndWait("last").ok());
    }
    const auto path = Segments().front();
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - cut);
    const auto journal = Open();
    EXPECT_THAT(Records(*journal), testing::ElementsAre("first")) << "cut " << cut;
    ASSERT_TRUE(journal->AppendAndWait("again").ok());
    EXPECT_THAT(Records(*journal), testing::ElementsAre("first", "again"));
  }
}

TEST_F(JournalTest, AChangedByteIsDataLossThatNamesThePlace) {
  {
    const auto journal = Open();
    ASSERT_TRUE(journal->AppendAndWait("first").ok());
    ASSERT_TRUE(journal->AppendAndWait("second").ok());
  }
  std::fstream file(Segments().front(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(9);
  file.put('X');
  file.close();
  const auto journal = Journal::Open({.folder = folder()});
  EXPECT_EQ(journal.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(journal.status().message()), testing::HasSubstr("record 1 at byte 0"));
}

TEST_F(JournalTest, AMissingSegmentIsDataLoss) {
  {
    const auto journal = Open(16);
    for (int i = 0; i < 9; ++i) ASSERT_TRUE(journal->AppendAndWait("a record").ok());
  }
  std::filesystem::remove(Segments()[1]);
  EXPECT_EQ(Journal::Open({.folder = folder()}).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(JournalTest, OneProcessOwnsAFolder) {
  const auto journal = Open();
  EXPECT_EQ(Journal::Open({.folder = folder()}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(JournalTest, ManyThreadsAppendAtOnce) {
  const auto journal = Open(512);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&journal, t] {
      for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(journal->AppendAndWait(absl::StrCat(t, ":", i)).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::vector<int> next(8, 0);
  const auto entries = *journal->ReadAfter(0, 10000);
  ASSERT_EQ(entries.size(), 800u);
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].position, i + 1);
    const int thread = entries[i].record[0] - '0';
    EXPECT_EQ(entries[i].record, absl::StrCat(thread, ":", next[thread]++));
  }
}

TEST_F(JournalTest, SyncWaitsForEveryCallback) {
  const auto journal = Open();
  std::atomic<int> called{0};
  for (int i = 0; i < 500; ++i) {
    journal->Append("r", [&](const absl::Status& status) { called += status.ok() ? 1 : 0; });
  }
  journal->Sync();
  EXPECT_EQ(called, 500);
  EXPECT_EQ(journal->stats().appended, 500u);
}

TEST_F(JournalTest, RefusesARecordThatIsTooLarge) {
  const auto journal = Open();
  EXPECT_EQ(journal->AppendAndWait(std::string((1 << 20) + 1, 'x')).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(JournalTest, WaitingEndsWhenARecordComesOrItStops) {
  const auto journal = Open();
  std::thread writer([&] { ASSERT_TRUE(journal->AppendAndWait("r").ok()); });
  EXPECT_TRUE(journal->WaitForMore(0, absl::Seconds(60)));
  writer.join();
  std::thread stopper([&] { journal->Stop(); });
  EXPECT_FALSE(journal->WaitForMore(1, absl::Seconds(60)));
  stopper.join();
}

// The disk is full: nobody is told that a record is durable, and once there is room it goes on.
TEST_F(JournalTest, AFullDiskIsSaidAndOvercome) {
  std::signal(SIGXFSZ, SIG_IGN);
  const auto journal = Open();
  ASSERT_TRUE(journal->AppendAndWait("kept").ok());
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit tight{64, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  const absl::Status full = journal->AppendAndWait(std::string(500, 'x'));
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  ASSERT_TRUE(journal->AppendAndWait("later").ok());
  EXPECT_THAT(Records(*journal), testing::ElementsAre("kept", "later"));
}

// Killed at any moment, every record whose writer was told so is there at the next start.
// How a child ends that does `work` until it is killed, after some of its bytes have come: how many
// times it said that a record was kept.
int KeptUntilKilled(int least, const std::function<bool(Journal&, int)>& keep,
                    const Journal::Options& options) {
  int told[2];
  EXPECT_EQ(pipe(told), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto journal = Journal::Open(options);
    for (int i = 0; journal.ok(); ++i) {
      if (!keep(**journal, i) || write(told[1], "x", 1) != 1) break;
    }
    _exit(1);
  }
  close(told[1]);
  char byte = 0;
  int kept = 0;
  while (kept < least && read(told[0], &byte, 1) == 1) ++kept;
  kill(child, SIGKILL);
  while (read(told[0], &byte, 1) == 1) ++kept;
  close(told[0]);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  return kept;
}

TEST_F(JournalTest, NothingThatWasDurableIsLostByKill) {
  const auto append = [](Journal& journal, int i) {
    return journal.AppendAndWait(std::string(1 + i % 50, 'r')).ok();
  };
  for (int round = 0; round < 5; ++round) {
    const int durable =
        KeptUntilKilled(40 + 13 * round, append, {.folder = folder(), .segment_bytes = 256});
    const auto journal = Open(256);
    const uint64_t before = journal->stats().taken;
    const auto entries = *journal->ReadAfter(before, 100000);
    EXPECT_GE(entries.size(), static_cast<size_t>(durable));
    ASSERT_TRUE(journal->Acknowledge(journal->stats().appended).ok());
  }
}

TEST_F(JournalTest, WhatWasWrittenIsThereAfterAKillThoughNoDiskHasIt) {
  const auto put = [](Journal& journal, int i) {
    const auto position = journal.Write(absl::StrCat(i));
    return position.ok() && *position == static_cast<uint64_t>(i) + 1;
  };
  // Syncs that never end: nobody waits for one.
  const int written = KeptUntilKilled(500, put, {.folder = folder(), .sync = [](int) {
                                                   while (true) pause();
                                                   return 0;
                                                 }});
  const auto journal = Open();
  const auto entries = *journal->ReadAfter(0, 1'000'000);
  ASSERT_GE(entries.size(), static_cast<size_t>(written));
  for (size_t i = 0; i < entries.size(); ++i) EXPECT_EQ(entries[i].record, absl::StrCat(i));
}

TEST_F(JournalTest, WhatWasWrittenReachesTheDiskByItself) {
  std::atomic<int> syncs = 0;
  const auto journal =
      *Journal::Open({.folder = folder(), .segment_bytes = 64, .sync = [&](int fd) {
                        ++syncs;
                        return ::fdatasync(fd);
                      }});
  for (int i = 1; i <= 50; ++i) EXPECT_EQ(*journal->Write("a record"), static_cast<uint64_t>(i));
  EXPECT_GT(Segments().size(), 5u);
  EXPECT_EQ(Records(*journal).size(), 50u);
  journal->Sync();
  EXPECT_GE(syncs, 1);
  ASSERT_TRUE(journal->Acknowledge(50).ok());
  EXPECT_FALSE(journal->Write(std::string(2 << 20, 'x')).ok());
  EXPECT_EQ(*journal->Write("next"), 51u);
  EXPECT_THAT(Records(*journal, 50), testing::ElementsAre("next"));
}

}  // namespace
}  // namespace floe
