// From a journal to whoever counts: everything arrives, in order, and nothing stops the rest.
#include "services/usage/delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "absl/strings/str_cat.h"

#include "tests/support/temp_dir.h"

namespace floe::usage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Takes what it is sent, unless it is away or the record is poison.
class Counter {
 public:
  JournalDelivery::Send send() {
    return [this](const std::vector<std::string>& records) -> absl::Status {
      const std::lock_guard lock(mutex_);
      ++calls_;
      changed_.notify_all();
      if (away_) return absl::UnavailableError("away");
      for (const std::string& record : records) {
        if (record == "poison") return absl::InvalidArgumentError("poison");
      }
      taken_.insert(taken_.end(), records.begin(), records.end());
      return absl::OkStatus();
    };
  }
  void SetAway(bool away) {
    const std::lock_guard lock(mutex_);
    away_ = away;
  }
  std::vector<std::string> taken() {
    const std::lock_guard lock(mutex_);
    return taken_;
  }
  void AwaitCalls(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool away_ = false;
  int calls_ = 0;
  std::vector<std::string> taken_;
};

class DeliveryTest : public testing::Test {
 protected:
  void Open() { journal_ = *Journal::Open({.folder = dir_ / "journal"}); }
  void Start(size_t batch = 1000) {
    JournalDelivery::Options options;
    options.metric = "floe_test_usage";
    options.rejected_folder = dir_ / "rejected";
    options.batch = batch;
    options.linger = absl::Milliseconds(1);
    options.first_delay = absl::Milliseconds(1);
    delivery_ = *JournalDelivery::Start(options, counter_.send(), {*journal_, logger_, metrics_});
  }
  void Append(std::string record) { ASSERT_TRUE(journal_->AppendAndWait(std::move(record)).ok()); }

  test::TempDir dir_;
  runtime::Logger logger_{"test", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  Counter counter_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalDelivery> delivery_;
};

TEST_F(DeliveryTest, EverythingArrivesOnceAndInOrder) {
  Open();
  Append("a");
  Start(/*batch=*/2);
  for (const char* record : {"b", "c", "d", "e"}) Append(record);
  ASSERT_TRUE(delivery_->Flush(absl::Seconds(30)));
  EXPECT_THAT(counter_.taken(), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_EQ(journal_->stats().pending(), 0u);
  EXPECT_THAT(metrics_.Exposition(), HasSubstr("floe_test_usage_delivered_total 5"));
}

TEST_F(DeliveryTest, NothingIsAcknowledgedWhileNobodyAnswersAndAllArrivesAfterwards) {
  Open();
  counter_.SetAway(true);
  Start();
  Append("a");
  Append("b");
  counter_.AwaitCalls(3);
  EXPECT_EQ(journal_->stats().pending(), 2u);
  EXPECT_FALSE(delivery_->Flush(absl::Milliseconds(5)));
  counter_.SetAway(false);
  ASSERT_TRUE(delivery_->Flush(absl::Seconds(30)));
  EXPECT_THAT(counter_.taken(), ElementsAre("a", "b"));
}

TEST_F(DeliveryTest, WhatAProcessLeavesTheNextOneDelivers) {
  Open();
  counter_.SetAway(true);
  Start();
  Append("a");
  counter_.AwaitCalls(1);
  delivery_.reset();
  journal_.reset();
  counter_.SetAway(false);
  Open();
  Start();
  ASSERT_TRUE(delivery_->Flush(absl::Seconds(30)));
  EXPECT_THAT(counter_.taken(), ElementsAre("a"));
}

TEST_F(DeliveryTest, ARecordThatIsNeverTakenIsKeptAsideAndTheOthersArrive) {
  Open();
  for (const char* record : {"a", "poison", "b"}) Append(record);
  Start();
  ASSERT_TRUE(delivery_->Flush(absl::Seconds(30)));
  EXPECT_THAT(counter_.taken(), ElementsAre("a", "b"));
  delivery_.reset();
  const auto rejected = *Journal::Open({.folder = dir_ / "rejected"});
  const auto kept = rejected->ReadAfter(0, 10);
  ASSERT_TRUE(kept.ok());
  ASSERT_EQ(kept->size(), 1u);
  EXPECT_EQ((*kept)[0].record, "poison");
}

}  // namespace
}  // namespace floe::usage
