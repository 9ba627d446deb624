// Workers' receipts in the database: what verify says when somebody changes the past.
#include "billing/receipt.h"
#include "tests/billing/postgres/store_fixture.h"

namespace floe::billing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ReceiptsTest : public StoreTest {
 protected:
  // Requests u1, u2, u3 on one worker, whose receipts came with the answers.
  ReceiptsTest() {
    std::vector<Attempt> attempts;
    std::vector<UsageEvent> events;
    for (const char* id : {"u1", "u2", "u3"}) {
      Attempt attempt{.attempt_id = absl::StrCat("a-", id),
                      .usage_id = id,
                      .worker = "worker-1",
                      .checkpoint_digest = "d",
                      .time = clock_.Now() + absl::Microseconds(7),
                      .prompt_tokens = 100,
                      .prefix_cached_tokens = 16,
                      .computed_tokens = 10,
                      .sent_tokens = 10,
                      .outcome = AttemptOutcome::kFinished,
                      .model_tokens = 93,
                      .queue_time = absl::Microseconds(1),
                      .prefill_time = absl::Milliseconds(20) + absl::Nanoseconds(999),
                      .decode_time = absl::Milliseconds(300),
                      .kv_block_time = absl::Seconds(4)};
      chain_.Sign(attempt);
      UsageEvent event = Event(id);
      event.receipts = {attempt.receipt.digest};
      attempts.push_back(attempt);
      events.push_back(event);
    }
    EXPECT_TRUE(usage_.AppendAttempts(attempts).ok());
    Ingest(events);
    last_ = attempts.back();
  }

  VerifyReport Verify(absl::Duration margin = absl::ZeroDuration()) {
    const auto report =
        reports_.Verify({.interval = IntervalOf(absl::CivilMonth(2026, 11)), .margin = margin});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(VerifyReport());
  }
  std::string DigestOf(const std::string& usage_id) {
    return reports_.Explain("", usage_id)->attempts.at(0).receipt.digest;
  }
  // What a database's owner can do.
  void Tamper(const std::string& statement) {
    ASSERT_TRUE(Execute("ALTER TABLE billing.worker_attempt DISABLE TRIGGER USER").ok());
    ASSERT_TRUE(Execute(statement).ok());
  }

  ReceiptChain chain_{"run-1"};
  Attempt last_;
};

TEST_F(ReceiptsTest, AWholeChainIsCleanAndTheDatabaseReadsItAsTheWorkerWroteIt) {
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.clean()) << testing::PrintToString(report.receipt_faults);
  EXPECT_EQ(report.receipts, 3);
  const auto usage = reports_.Explain("", "u3");
  ASSERT_TRUE(usage.ok());
  EXPECT_THAT(usage->rated.event.receipts, ElementsAre(last_.receipt.digest));
  ASSERT_EQ(usage->attempts.size(), 1u);
  const Attempt& kept = usage->attempts[0];
  EXPECT_EQ(ReceiptDigest(kept), last_.receipt.digest);
  EXPECT_EQ(kept.receipt.sequence, 3);
  EXPECT_EQ(kept.model_tokens, 93);
  EXPECT_EQ(kept.decode_time, absl::Milliseconds(300));
  EXPECT_EQ(kept.kv_block_time, absl::Seconds(4));
}

TEST_F(ReceiptsTest, ARecordThatWasChangedIsNamed) {
  Tamper("UPDATE billing.worker_attempt SET kv_block_us = 1 WHERE usage_id = 'u2'");
  const VerifyReport report = Verify();
  EXPECT_FALSE(report.clean());
  EXPECT_THAT(report.receipt_faults,
              ElementsAre("receipt 2 of worker-1 (chain run-1) for usage u2 is not what the worker "
                          "signed"));
}

TEST_F(ReceiptsTest, ARecordThatWasChangedAndSignedAgainDoesNotFitTheNextAndTheGateways) {
  Attempt forged = last_;
  forged.attempt_id = "a-u2";
  forged.usage_id = "u2";
  forged.receipt.sequence = 2;
  forged.receipt.previous_digest = DigestOf("u1");
  forged.queue_time = absl::ZeroDuration();
  forged.receipt.digest = ReceiptDigest(forged);
  Tamper("DELETE FROM billing.worker_attempt WHERE usage_id = 'u2'");
  ASSERT_TRUE(usage_.AppendAttempts({forged}).ok());
  const VerifyReport report = Verify();
  EXPECT_THAT(report.receipt_faults,
              ElementsAre("receipt 2 of worker-1 (chain run-1) is not the one that the next "
                          "receipt follows"));
  ASSERT_EQ(report.unexplained, 1);
  EXPECT_EQ(report.differences[0].first.usage_id, "u2");
  EXPECT_THAT(report.differences[0].second, HasSubstr("no worker's record has it"));
}

TEST_F(ReceiptsTest, ARecordThatIsMissingIsNamed) {
  Tamper("DELETE FROM billing.worker_attempt WHERE usage_id = 'u2'");
  EXPECT_THAT(Verify().receipt_faults,
              ElementsAre("receipt 2 of worker-1 (chain run-1) is missing"));
  EXPECT_THAT(Verify(absl::Hours(1)).receipt_faults, IsEmpty()) << "it may be on its way";
}

// Nobody stands behind the last one, but its gateway has its digest.
TEST_F(ReceiptsTest, TheLastOneIsMissedByItsGateway) {
  Tamper(
      "UPDATE billing.worker_attempt SET chain = '', sequence = 0, digest = ''"
      " WHERE usage_id = 'u3'");
  const VerifyReport report = Verify();
  EXPECT_THAT(report.receipt_faults, IsEmpty());
  ASSERT_EQ(report.unexplained, 1);
  EXPECT_EQ(report.differences[0].first.usage_id, "u3");
  EXPECT_THAT(report.differences[0].second, HasSubstr(last_.receipt.digest));
}

TEST_F(ReceiptsTest, OneThatWasSlippedInIsNamed) {
  Attempt second = last_;
  second.attempt_id = "a-u4";
  second.receipt.sequence = 2;
  second.receipt.previous_digest = DigestOf("u1");
  second.receipt.digest = ReceiptDigest(second);
  ASSERT_TRUE(usage_.AppendAttempts({second}).ok());
  EXPECT_THAT(Verify().receipt_faults,
              ElementsAre("receipt 2 of worker-1 (chain run-1) is there more than once"));
}

// A worker that is killed has handed out a receipt that its record does not hold; it says so.
TEST_F(ReceiptsTest, AKilledWorkersReceiptIsNotHeldAgainstIt) {
  Tamper(
      "UPDATE billing.worker_attempt SET chain = '', sequence = 0, digest = '',"
      " outcome = 'unknown', computed_tokens = 0, sent_tokens = 0 WHERE usage_id = 'u3'");
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.clean()) << testing::PrintToString(report.receipt_faults);
}

}  // namespace
}  // namespace floe::billing
