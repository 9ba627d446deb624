#include "billing/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace floe::billing {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// A plain request: 10 tokens in, 5 out, all counts the same.
RequestCounts Plain() {
  return {.usage_id = "u",
          .input_tokens = 10,
          .output_tokens = 5,
          .arrived_tokens = 5,
          .attempts = 1,
          .prompt_tokens = 10,
          .computed_tokens = 5,
          .sent_tokens = 5};
}

TEST(ExplainTest, EqualCountsNeedNoExplanation) {
  const Explanation e = Explain(Plain());
  EXPECT_THAT(e.unexplained, IsEmpty());
  EXPECT_EQ(e.undelivered_tokens + e.retried_tokens + e.cached_tokens, 0);
}

TEST(ExplainTest, ADisconnectLeavesTokensUndelivered) {
  RequestCounts c = Plain();
  c.outcome = Outcome::kDisconnected;
  c.unfinished_attempts = 1;
  c.computed_tokens = 9;
  c.sent_tokens = 8;
  EXPECT_THAT(Explain(c).unexplained, IsEmpty());
  EXPECT_EQ(Explain(c).undelivered_tokens, 4);
}

TEST(ExplainTest, OfAnAnswerInOnePieceThatDidNotComeOnlyThePromptIsCharged) {
  RequestCounts c = Plain();
  c.output_tokens = 0;
  for (const Outcome end : {Outcome::kDisconnected, Outcome::kFailed}) {
    c.outcome = end;
    EXPECT_THAT(Explain(c).unexplained, IsEmpty());
    EXPECT_EQ(Explain(c).undelivered_tokens, 5);
  }
  c.outcome = Outcome::kCompleted;
  EXPECT_THAT(Explain(c).unexplained, HasSubstr("charged only 0"));
}

TEST(ExplainTest, WhoLeavesBeforeTheFirstTokenPaysNothing) {
  RequestCounts c = Plain();
  c.outcome = Outcome::kDisconnected;
  c.unfinished_attempts = 1;
  c.input_tokens = c.output_tokens = c.arrived_tokens = c.sent_tokens = 0;
  EXPECT_THAT(Explain(c).unexplained, IsEmpty());
  c.outcome = Outcome::kCompleted;
  EXPECT_THAT(Explain(c).unexplained, HasSubstr("prompt tokens"));
}

TEST(ExplainTest, AReceiptWithoutItsRecordIsNamedAlsoWhereNothingWasCharged) {
  RequestCounts c{.usage_id = "u", .outcome = Outcome::kFailed};
  EXPECT_THAT(Explain(c).unexplained, IsEmpty()) << "nobody worked on it";
  c.missing_receipt = "abc";
  EXPECT_THAT(Explain(c).unexplained, HasSubstr("the receipt abc"));
  EXPECT_TRUE(Explain(c).incomplete);
}

TEST(ExplainTest, AWorkerThatDiedSentWhatArrived) {
  RequestCounts c = Plain();
  c.attempts = 2;
  c.unfinished_attempts = 1;
  c.prompt_tokens = 22;
  c.sent_tokens = c.computed_tokens = 3;  // of the second worker; the first told nothing
  EXPECT_THAT(Explain(c).unexplained, HasSubstr("workers sent only"));
  c.unknown_attempts = 1;
  EXPECT_THAT(Explain(c).unexplained, IsEmpty());
  EXPECT_EQ(Explain(c).retried_tokens, 12);  // of the prompt
}

TEST(ExplainTest, AFailoverComputesAgain) {
  // The first attempt sent 3 of 4 computed; the second read prompt and those 3, and went on.
  RequestCounts c = Plain();
  c.attempts = 2;
  c.unfinished_attempts = 1;
  c.prompt_tokens = 10 + 13;
  c.computed_tokens = 4 + 2;
  c.sent_tokens = 3 + 2;
  const Explanation e = Explain(c);
  EXPECT_THAT(e.unexplained, IsEmpty());
  EXPECT_EQ(e.retried_tokens, 1 + 13);
}

TEST(ExplainTest, ACacheHitIsComputedByNobody) {
  RequestCounts c{.usage_id = "u", .cache_hit = true, .input_tokens = 10, .output_tokens = 5};
  EXPECT_THAT(Explain(c).unexplained, IsEmpty());
  EXPECT_EQ(Explain(c).cached_tokens, 15);
  c.attempts = 1;
  EXPECT_THAT(Explain(c).unexplained, HasSubstr("from the cache"));
}

TEST(ExplainTest, ABlockedAnswerMayBeChargedForLess) {
  RequestCounts c = Plain();
  c.outcome = Outcome::kBlocked;
  c.output_tokens = 2;
  EXPECT_THAT(Explain(c).unexplained, IsEmpty());
  EXPECT_EQ(Explain(c).undelivered_tokens, 3);
}

TEST(ExplainTest, NothingElseIsExplained) {
  const auto unexplained = [](auto change) {
    RequestCounts c = Plain();
    change(c);
    return Explain(c).unexplained;
  };
  EXPECT_THAT(unexplained([](auto& c) { c.output_tokens = 6; }), HasSubstr("ledger charged 6"));
  EXPECT_THAT(unexplained([](auto& c) { c.output_tokens = 4; }), HasSubstr("charged only 4"));
  EXPECT_THAT(unexplained([](auto& c) { c.arrived_tokens = c.output_tokens = 6; }),
              HasSubstr("workers sent only 5"));
  EXPECT_THAT(unexplained([](auto& c) { c.computed_tokens = 4; }), HasSubstr("computed only 4"));
  EXPECT_THAT(unexplained([](auto& c) { c.computed_tokens = 7; }),
              HasSubstr("nothing was interrupted"));
  EXPECT_THAT(unexplained([](auto& c) { c.input_tokens = 11; }), HasSubstr("read only 10"));
  EXPECT_THAT(unexplained([](auto& c) { c.input_tokens = 9; }), HasSubstr("charged only 9"));
  EXPECT_THAT(unexplained([](auto& c) { c.attempts = 0; }), HasSubstr("no worker"));
  EXPECT_THAT(unexplained([](auto& c) { c.charged = false; }), HasSubstr("no gateway's journal"));
  EXPECT_THAT(unexplained([](auto& c) { c.parked_reason = "NO"; }), HasSubstr("not charged yet"));
}

TEST(ExplainTest, ACallWithoutTokensNeedsNoWorker) {
  EXPECT_THAT(Explain({.usage_id = "retrieval"}).unexplained, IsEmpty());
}

// Each of these is what a request looks like of which only a part has come.
TEST(ExplainTest, WhatAReportStillToComeMayExplainIsIncomplete) {
  const auto incomplete = [](auto change) {
    RequestCounts c = Plain();
    change(c);
    EXPECT_FALSE(Explain(c).unexplained.empty());
    return Explain(c).incomplete;
  };
  EXPECT_TRUE(incomplete([](auto& c) { c.attempts = 0; }));
  EXPECT_TRUE(incomplete([](auto& c) { c.charged = false; }));
  EXPECT_TRUE(incomplete([](auto& c) { c.computed_tokens = c.sent_tokens = 3; }));
  EXPECT_TRUE(incomplete([](auto& c) { c.prompt_tokens = 9; }));
  EXPECT_FALSE(incomplete([](auto& c) { c.parked_reason = "NO"; }));
  EXPECT_FALSE(incomplete([](auto& c) { c.cache_hit = true; }));
  EXPECT_FALSE(incomplete([](auto& c) { c.computed_tokens = 4; }));
  EXPECT_FALSE(incomplete([](auto& c) { c.computed_tokens = 7; }));
  EXPECT_FALSE(incomplete([](auto& c) { c.output_tokens = 6; }));
  EXPECT_FALSE(incomplete([](auto& c) { c.output_tokens = 4; }));
  EXPECT_FALSE(incomplete([](auto& c) { c.input_tokens = 9; }));
  EXPECT_FALSE(Explain(Plain()).incomplete);
}

TEST(VerifyReportTest, WhatIsIncompleteIsADifferenceOnceItIsNoLongerRecent) {
  RequestCounts half = Plain();
  half.attempts = half.prompt_tokens = half.computed_tokens = half.sent_tokens = 0;
  half.recent = true;
  RequestCounts wrong = Plain();
  wrong.output_tokens = 6;
  wrong.recent = true;
  VerifyReport report;
  report.Take(half, 10);
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.on_the_way, 1);
  EXPECT_EQ(report.requests + report.charged_tokens, 0) << "in no sum";
  report.Take(wrong, 10);
  EXPECT_EQ(report.unexplained, 1) << "nothing can explain it any more";
  half.recent = false;
  report.Take(half, 10);
  EXPECT_EQ(report.unexplained, 2);
  EXPECT_EQ(report.on_the_way, 1);
}

TEST(VerifyReportTest, AddsUpAndListsTheFirstDifferences) {
  VerifyReport report;
  RequestCounts wrong = Plain();
  wrong.output_tokens = 6;
  report.Take(Plain(), 1);
  report.Take(wrong, 1);
  report.Take(wrong, 1);
  EXPECT_EQ(report.requests, 3);
  EXPECT_EQ(report.charged_tokens, 17);
  EXPECT_EQ(report.unexplained, 2);
  EXPECT_EQ(report.differences.size(), 1u);
  EXPECT_FALSE(report.clean());
}

}  // namespace
}  // namespace floe::billing
