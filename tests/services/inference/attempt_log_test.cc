// The worker's own count: one record a generation, also when it is killed.
#include "services/inference/attempt_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "base/error_reason.h"
#include "billing/receipt.h"
#include "services/usage/attempt_proto.h"
#include "services/usage/receipt_status.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ids.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {
namespace {

namespace pb = billing::v1;

AttemptLog::Attempt::Work Ask(const std::string& usage_id) { return {usage_id, "d", 3}; }

class AttemptLogTest : public testing::Test {
 protected:
  void Open() {
    auto log = AttemptLog::Open(dir_ / "log", nullptr, {clock_, ids_, logger_, metrics_});
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  // What would be delivered, by usage id; of several with one attempt id the first counts.
  std::map<std::string, pb::Attempt> Ended() {
    log_.reset();
    const auto journal = *Journal::Open({.folder = dir_ / "log/ended"});
    std::map<std::string, pb::Attempt> attempts;
    std::set<std::string> ids;
    const auto entries = journal->ReadAfter(0, 10'000);
    for (const auto& entry : *entries) {
      pb::Attempt attempt;
      EXPECT_TRUE(attempt.ParseFromString(entry.record));
      if (ids.insert(attempt.attempt_id()).second) attempts[attempt.usage_id()] = attempt;
    }
    return attempts;
  }

  test::TempDir dir_;
  test::FakeClock clock_;
  test::FakeIds ids_;
  runtime::Logger logger_{"test", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  std::unique_ptr<AttemptLog> log_;
};

TEST_F(AttemptLogTest, AnAttemptSaysWhatWasComputedAndSentAndHowItEnded) {
  Open();
  {
    AttemptLog::Attempt finished(log_.get(), Ask("u1"), clock_.Now());
    finished.Begin();
    finished.prefix_cached_tokens = 2;
    finished.computed_tokens = 5;
    finished.sent_tokens = 4;
    finished.NoteEnd(absl::OkStatus());
    AttemptLog::Attempt left(log_.get(), Ask("u2"), clock_.Now());
    left.Begin();
    AttemptLog::Attempt failed(log_.get(), Ask("u3"), clock_.Now());
    failed.Begin();
    failed.NoteEnd(absl::InternalError("x"));
    AttemptLog::Attempt refused(log_.get(), Ask("u4"), clock_.Now());  // never begun
    AttemptLog::Attempt shed(log_.get(), Ask("u6"), clock_.Now());
    shed.Begin();
    shed.NoteEnd(absl::ResourceExhaustedError("full"));
    AttemptLog::Attempt nobodys(log_.get(), Ask(""), clock_.Now());
    nobodys.Begin();
    AttemptLog::Attempt unlogged(nullptr, Ask("u5"), clock_.Now());
    unlogged.Begin();
  }
  const auto ended = Ended();
  ASSERT_EQ(ended.size(), 3u);
  const pb::Attempt& u1 = ended.at("u1");
  EXPECT_EQ(u1.outcome(), pb::Attempt::FINISHED);
  EXPECT_EQ(u1.prefix_cached_tokens(), 2);
  EXPECT_EQ(u1.computed_tokens(), 5);
  EXPECT_EQ(u1.sent_tokens(), 4);
  EXPECT_EQ(u1.prompt_tokens(), 3);
  EXPECT_EQ(ended.at("u2").outcome(), pb::Attempt::CANCELLED);
  EXPECT_EQ(ended.at("u3").outcome(), pb::Attempt::FAILED);
}

TEST_F(AttemptLogTest, AttemptsNameTheirWorkerWhichStaysTheSameAfterARestart) {
  for (const char* usage_id : {"u1", "u2"}) {
    Open();
    AttemptLog::Attempt(log_.get(), Ask(usage_id), clock_.Now()).Begin();
    log_.reset();
  }
  const auto ended = Ended();
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_THAT(ended.at("u1").worker(), testing::StartsWith("worker-"));
  EXPECT_EQ(ended.at("u1").worker(), ended.at("u2").worker());
}

TEST_F(AttemptLogTest, ReceiptsAreAChainOverAllThatARecordSays) {
  Open();
  std::string told;
  {
    AttemptLog::Attempt left(log_.get(), Ask("u1"), clock_.Now());
    left.Begin();
  }
  {
    AttemptLog::Attempt finished(log_.get(), Ask("u2"), clock_.Now() + absl::Nanoseconds(1));
    finished.Begin();
    finished.computed_tokens = finished.sent_tokens = 5;
    finished.NoteEnd(absl::OkStatus());
    Usage usage;
    usage.computed_tokens = 7;
    usage.queue_time = absl::Milliseconds(1);
    usage.time_to_first_token = absl::Milliseconds(11);
    usage.total_time = absl::Milliseconds(111);
    usage.kv_block_time = absl::Seconds(3);
    finished.NoteUsage(usage);
    told = finished.Sign();
    finished.sent_tokens = 99;  // too late to count
  }
  {
    AttemptLog::Attempt failed(log_.get(), Ask("u3"), clock_.Now());
    failed.Begin();
    failed.NoteEnd(absl::InternalError("x"));
    AttemptLog::Attempt shed(log_.get(), Ask("u4"), clock_.Now());  // takes no number
    shed.Begin();
    shed.NoteEnd(absl::ResourceExhaustedError("full"));
    EXPECT_EQ(shed.Sign(), "");
    EXPECT_EQ(AttemptLog::Attempt(nullptr, Ask("u5"), clock_.Now()).Sign(), "");
  }
  const auto ended = Ended();
  ASSERT_EQ(ended.size(), 3u);
  std::string previous;
  int64_t sequence = 0;
  for (const char* id : {"u1", "u2", "u3"}) {
    const billing::Attempt attempt = usage::FromProto(ended.at(id));
    EXPECT_EQ(attempt.receipt.chain, ended.at("u1").receipt().chain());
    EXPECT_EQ(attempt.receipt.sequence, ++sequence);
    EXPECT_EQ(attempt.receipt.previous_digest, previous);
    EXPECT_EQ(attempt.receipt.digest, billing::ReceiptDigest(attempt)) << id;
    previous = attempt.receipt.digest;
  }
  const pb::Attempt& u2 = ended.at("u2");
  EXPECT_EQ(u2.receipt().digest(), told);
  EXPECT_EQ(u2.sent_tokens(), 5);
  EXPECT_EQ(u2.model_tokens(), 7);
  EXPECT_EQ(u2.queue_time().nanos(), 1'000'000);
  EXPECT_EQ(u2.prefill_time().nanos(), 10'000'000);
  EXPECT_EQ(u2.decode_time().nanos(), 100'000'000);
  EXPECT_EQ(u2.kv_block_time().seconds(), 3);
  // Another run has a chain of its own.
  Open();
  { AttemptLog::Attempt(log_.get(), Ask("u6"), clock_.Now()).Begin(); }
  const pb::Attempt next = Ended().at("u6");
  EXPECT_NE(next.receipt().chain(), u2.receipt().chain());
  EXPECT_EQ(next.receipt().sequence(), 1);
}

TEST_F(AttemptLogTest, AnErrorBehindWorkIsSignedForAndARefusalIsNot) {
  Open();
  std::string told;
  {
    AttemptLog::Attempt worked(log_.get(), Ask("u1"), clock_.Now());
    worked.Begin();
    worked.NoteUsage({.computed_tokens = 7});  // of one of several texts
    const absl::Status full = absl::ResourceExhaustedError("full");
    worked.NoteEnd(full);
    const absl::Status signed_for = worked.SignFor(WithReason(full, "QUEUE_FULL", {{"a", "b"}}));
    told = usage::ReceiptOf(signed_for);
    EXPECT_EQ(ReasonOf(signed_for)->reason, "QUEUE_FULL");
    EXPECT_EQ(ReasonOf(signed_for)->metadata.at("a"), "b");
    AttemptLog::Attempt shed(log_.get(), Ask("u2"), clock_.Now());
    shed.Begin();
    shed.NoteEnd(full);
    EXPECT_EQ(shed.SignFor(full), full);
    AttemptLog::Attempt unkept(nullptr, Ask("u3"), clock_.Now());
    EXPECT_EQ(unkept.SignFor(full), full);
  }
  const auto ended = Ended();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended.at("u1").receipt().digest(), told);
  EXPECT_EQ(ended.at("u1").outcome(), pb::Attempt::FAILED);
}

TEST_F(AttemptLogTest, WhatAKilledWorkerBeganIsReportedAsNotKnown) {
  Open();
  {
    AttemptLog::Attempt done(log_.get(), Ask("u1"), clock_.Now());
    done.Begin();
  }
  // As if the process had been killed here: the end of u2 is never written.
  auto killed = std::make_optional<AttemptLog::Attempt>(log_.get(), Ask("u2"), clock_.Now());
  killed->Begin();
  log_->Sync();
  test::TempDir copy;
  std::filesystem::copy(dir_ / "log", copy / "log", std::filesystem::copy_options::recursive);
  killed.reset();
  log_.reset();
  std::filesystem::remove_all(dir_ / "log");
  std::filesystem::copy(copy / "log", dir_ / "log", std::filesystem::copy_options::recursive);
  Open();
  const auto ended = Ended();
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended.at("u1").outcome(), pb::Attempt::CANCELLED);  // its own end counts
  EXPECT_EQ(ended.at("u2").outcome(), pb::Attempt::OUTCOME_UNSPECIFIED);
  EXPECT_EQ(ended.at("u2").prompt_tokens(), 3);
  EXPECT_FALSE(ended.at("u2").has_receipt()) << "nobody signed for it";
}

}  // namespace
}  // namespace floe::inference
