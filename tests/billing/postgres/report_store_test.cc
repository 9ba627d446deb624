// Reports, explanations and proofs over real rows.
#include "tests/billing/postgres/store_fixture.h"

namespace floe::billing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class ReportStoreTest : public StoreTest {
 protected:
  ReportStoreTest() {
    UsageEvent law = Event("u-law");
    law.team = "law";
    law.tags = {{"app", "mail"}};
    UsageEvent credit = Event("u-credit");
    credit.usage.tier = Tier::kPriority;
    credit.served_tier = Tier::kFlex;
    UsageEvent hit = Event("u-hit");
    hit.cache_hit = true;
    hit.usage.quantities = {.cached_input_tokens = 100, .cached_output_tokens = 10};
    hit.arrived_tokens = 0;
    UsageEvent nothing = Event("u-nothing");
    nothing.usage.quantities = {};
    nothing.arrived_tokens = 0;
    nothing.outcome = Outcome::kFailed;
    Ingest({Event("u-plain"), law, credit, hit, nothing});
  }
  Report Query(std::vector<std::string> group_by, std::map<std::string, std::string> filter = {}) {
    const auto report = reports_.Query(
        {.interval = month_, .group_by = std::move(group_by), .filter = std::move(filter)});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : Report();
  }
  Attempt Worked(const std::string& usage_id, const std::string& id = "") {
    return {.attempt_id = id.empty() ? "a-" + usage_id : id,
            .usage_id = usage_id,
            .time = clock_.Now(),
            .prompt_tokens = 100,
            .computed_tokens = 10,
            .sent_tokens = 10,
            .outcome = AttemptOutcome::kFinished};
  }

  const Interval month_ = IntervalOf(absl::CivilMonth(2026, 11));
};

TEST_F(ReportStoreTest, SumsByTeam) {
  const Report report = Query({"team"});
  ASSERT_EQ(report.rows.size(), 2u);
  EXPECT_THAT(report.rows[0].group, ElementsAre("law"));
  EXPECT_EQ(report.rows[0].charge, Money::Picos(kEventPicos));
  const ReportRow& nlp = report.rows[1];
  EXPECT_EQ(nlp.requests, 4);
  EXPECT_EQ(nlp.cache_hits, 1);
  EXPECT_EQ(nlp.input_tokens, 200);
  EXPECT_EQ(nlp.cached_input_tokens, 100);
  EXPECT_EQ(nlp.output_tokens, 30);
  EXPECT_EQ(nlp.charge, Money::Picos(3 * kEventPicos + 10'000'000));
  EXPECT_EQ(nlp.credit, Money::Picos(2 * kEventPicos - kEventPicos / 2));
  EXPECT_EQ(nlp.net, *Subtract(nlp.charge, nlp.credit));
  EXPECT_EQ(report.total.requests, 5);
}

TEST_F(ReportStoreTest, EveryGroupingComesToTheSameTotal) {
  const Report whole = Query({});
  ASSERT_EQ(whole.rows.size(), 1u);
  for (const std::string_view dimension : kDimensions) {
    const Report report = Query({std::string(dimension)});
    Money net;
    for (const ReportRow& row : report.rows) net = *Add(net, row.net);
    EXPECT_EQ(net, whole.total.net) << dimension;
  }
  EXPECT_EQ(whole.total.net, *Add(Receivable("nlp"), Receivable("law")));
}

TEST_F(ReportStoreTest, GroupsInTheOrderAskedForAndFilters) {
  const Report report = Query({"token_kind", "tier"}, {{"team", "nlp"}});
  std::vector<std::pair<std::string, std::string>> groups;
  for (const ReportRow& row : report.rows) groups.emplace_back(row.group[0], row.group[1]);
  EXPECT_THAT(groups, testing::UnorderedElementsAre(
                          Pair("input", "default"), Pair("output", "default"),
                          Pair("cached_input", "default"), Pair("cached_output", "default"),
                          Pair("", "default"), Pair("input", "priority"),
                          Pair("output", "priority"), Pair("tier_credit", "priority")));
  const Report tagged = Query({"tag:app", "day"});
  ASSERT_EQ(tagged.rows.size(), 2u);
  EXPECT_THAT(tagged.rows[1].group, ElementsAre("mail", "2026-11-24"));
  EXPECT_EQ(Query({}, {{"tag:app", "mail"}}).total.requests, 1);
  EXPECT_EQ(Query({}, {{"token_kind", "output"}}).total.requests, 3);
}

TEST_F(ReportStoreTest, PagesHaveTheWholeTotal) {
  const auto page =
      reports_.Query({.interval = month_, .group_by = {"team"}, .limit = 1, .offset = 0});
  EXPECT_TRUE(page->more);
  EXPECT_EQ(page->rows.size(), 1u);
  EXPECT_EQ(page->total.requests, 5);
}

TEST_F(ReportStoreTest, AnotherTeamsUsageIsNotFound) {
  EXPECT_EQ(reports_.Explain("nlp", "u-law").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(reports_.Explain("law", "u-law").ok());
}

TEST_F(ReportStoreTest, AWorkflowShowsItsSteps) {
  UsageEvent plan = Event("w-plan"), tool = Event("w-tool"), answer = Event("w-answer");
  for (UsageEvent* event : {&plan, &tool, &answer}) event->workflow_id = "w1";
  tool.usage = {Operation::kTool, "", Tier::kDefault, {.calls = 1}};
  tool.arrived_tokens = 0;
  tool.parent_id = answer.parent_id = "w-plan";
  answer.time += absl::Seconds(1);
  answer.step = "answer";
  Ingest({answer, plan, tool});
  const auto steps = reports_.WorkflowSteps("nlp", "w1");
  ASSERT_EQ(steps->size(), 3u);
  const auto tree = BuildTree(*steps);
  EXPECT_EQ(tree->net, Money::Picos(2 * kEventPicos + 1'000'000'000));
  EXPECT_EQ(tree->steps[2].step, "answer");
  EXPECT_THAT(*reports_.WorkflowSteps("law", "w1"), IsEmpty());
}

TEST_F(ReportStoreTest, VerifyIsCleanWhenEveryCountIsExplained) {
  ASSERT_TRUE(usage_.AppendAttempts({Worked("u-plain"), Worked("u-law"), Worked("u-credit")}).ok());
  const auto report = reports_.Verify("", month_, 10);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->clean()) << (report->differences.empty() ? ""
                                                               : report->differences[0].second);
  EXPECT_EQ(report->requests, 5);
  EXPECT_EQ(report->computed_tokens, 30);
  EXPECT_EQ(report->arrived_tokens, 30);
  EXPECT_EQ(report->charged_tokens, 40);
  EXPECT_EQ(report->cached_tokens, 110);
}

TEST_F(ReportStoreTest, VerifyListsWhatNothingExplains) {
  Attempt more = Worked("u-law"), orphan = Worked("u-orphan");
  more.computed_tokens = more.sent_tokens = 12;
  ASSERT_TRUE(usage_.AppendAttempts({Worked("u-plain"), more, orphan}).ok());
  const auto report = reports_.Verify("", month_, 10);
  ASSERT_TRUE(report.ok()) << report.status();
  std::vector<std::string> ids;
  for (const auto& [counts, what] : report->differences) ids.push_back(counts.usage_id);
  EXPECT_THAT(ids, testing::UnorderedElementsAre("u-law", "u-orphan", "u-credit"));
  EXPECT_EQ(report->unexplained, 3);
  // A team sees its own requests; an attempt without an event has no team.
  EXPECT_EQ(reports_.Verify("law", month_, 10)->unexplained, 1);
}

// The statement's short cut for equal counts must agree with Explain().
TEST_F(ReportStoreTest, WhatVerifySkipsExplainWouldSkipToo) {
  std::vector<Attempt> attempts;
  for (const char* id : {"u-plain", "u-law", "u-credit"}) attempts.push_back(Worked(id));
  ASSERT_TRUE(usage_.AppendAttempts(attempts).ok());
  const RequestCounts even{.usage_id = "u",
                           .input_tokens = 100,
                           .output_tokens = 10,
                           .arrived_tokens = 10,
                           .attempts = 1,
                           .prompt_tokens = 100,
                           .computed_tokens = 10,
                           .sent_tokens = 10};
  for (const int64_t unfinished : {0, 1}) {
    RequestCounts counts = even;
    counts.unfinished_attempts = unfinished;
    EXPECT_THAT(Explain(counts).unexplained, IsEmpty());
    EXPECT_EQ(Explain(counts).undelivered_tokens + Explain(counts).retried_tokens, 0);
  }
}

TEST_F(ReportStoreTest, TrainingCostStandsBesideItsVersionsUse) {
  const TrainingCost cost{.id = "t1",
                          .team = "nlp",
                          .model = "hamlet",
                          .model_version = "7",
                          .amount = Money::Dollars(12),
                          .start_time = At("2026-11-01T00:00:00Z"),
                          .days = 30};
  ASSERT_TRUE(training_.Insert(cost, "r").ok());
  ASSERT_TRUE(training_.Insert(cost, "r").ok());
  EXPECT_EQ(Sql("SELECT sum(amount) FROM billing.ledger_entry WHERE account = 'capital/hamlet@7'"),
            "12000000000000");
  const auto rows = CompareTrainingCost(*training_.List("nlp", clock_.Now()),
                                        *training_.Uses("nlp", clock_.Now()), clock_.Now());
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->at(0).amortized, *Money::ParseDollars("9.2"));
  EXPECT_EQ(rows->at(0).revenue, Receivable("nlp"));
  EXPECT_THAT(*training_.List("law", clock_.Now()), IsEmpty());
}

}  // namespace
}  // namespace floe::billing
