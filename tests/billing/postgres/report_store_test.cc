// Reports, explanations and proofs over real rows.
#include <random>

#include "tests/billing/postgres/store_fixture.h"

namespace floe::billing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr char kCopyEvent[] =
    "INSERT INTO billing.usage_event SELECT (jsonb_populate_record(u, $2::jsonb)).*"
    " FROM billing.usage_event u WHERE usage_id = $1";
constexpr char kCopyAttempt[] =
    "INSERT INTO billing.worker_attempt SELECT (jsonb_populate_record(a, $2::jsonb)).*"
    " FROM billing.worker_attempt a WHERE usage_id = $1";

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

  VerifyReport Verify(VerifyQuery query = {}) {
    if (query.interval.end == absl::Time()) query.interval = month_;
    const auto report = reports_.Verify(query);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(VerifyReport());
  }
  // One more row like that of `usage_id`, with `changes` in JSON.
  void Copy(const char* statement, const std::string& usage_id, const std::string& changes) {
    const absl::Status copied = pool_->Run([&](pqxx::transaction_base& sql) -> absl::Status {
      sql.exec_params0(statement, usage_id, changes);
      return absl::OkStatus();
    });
    EXPECT_TRUE(copied.ok()) << copied;
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
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.clean()) << (report.differences.empty() ? "" : report.differences[0].second);
  EXPECT_EQ(report.requests, 5);
  EXPECT_EQ(report.computed_tokens, 30);
  EXPECT_EQ(report.arrived_tokens, 30);
  EXPECT_EQ(report.charged_tokens, 40);
  EXPECT_EQ(report.cached_tokens, 110);
}

TEST_F(ReportStoreTest, VerifyListsWhatNothingExplains) {
  Attempt more = Worked("u-law"), orphan = Worked("u-orphan");
  more.computed_tokens = more.sent_tokens = 12;
  ASSERT_TRUE(usage_.AppendAttempts({Worked("u-plain"), more, orphan}).ok());
  const VerifyReport report = Verify();
  std::vector<std::string> ids;
  for (const auto& [counts, what] : report.differences) ids.push_back(counts.usage_id);
  EXPECT_THAT(ids, testing::UnorderedElementsAre("u-law", "u-orphan", "u-credit"));
  EXPECT_EQ(report.unexplained, 3);
  // A team sees its own requests; an attempt without an event has no team.
  EXPECT_EQ(Verify({.team = "law"}).unexplained, 1);
  EXPECT_EQ(Verify({.max_differences = 2}).differences.size(), 2u);
}

TEST_F(ReportStoreTest, WithinTheMarginWhatIsMissingIsOnItsWay) {
  // Of u-law, u-credit and u-plain no attempt has come, of u-orphan no event.
  ASSERT_TRUE(usage_.AppendAttempts({Worked("u-orphan")}).ok());
  const VerifyReport now = Verify({.margin = absl::Hours(1)});
  EXPECT_TRUE(now.clean());
  EXPECT_EQ(now.on_the_way, 4);
  EXPECT_EQ(now.requests, 2);
  EXPECT_EQ(now.computed_tokens + now.charged_tokens, 10) << "of the cache hit";
  EXPECT_EQ(Verify().unexplained, 4);
  EXPECT_EQ(Verify().on_the_way, 0);

  // The same halves, and they came long ago: by the newest of what came.
  const std::string old = "2026-01-01T00:00:00Z";
  Copy(kCopyEvent, "u-plain",
       absl::StrCat(R"({"usage_id": "u-old", "transaction_id": 0, "charge": 0, "line_kind": [],
                        "line_quantity": [], "line_price": [], "line_amount": [], "line_cost": [],
                        "received_at": ")",
                    old, "\"}"));
  Copy(kCopyAttempt, "u-orphan",
       absl::StrCat(R"({"attempt_id": "a2", "usage_id": "u-old-orphan", "received_at": ")", old,
                    "\"}"));
  const VerifyReport later = Verify({.margin = absl::Hours(1)});
  ASSERT_EQ(later.unexplained, 2);
  EXPECT_EQ(later.differences[0].first.usage_id, "u-old");
  EXPECT_EQ(later.differences[1].first.usage_id, "u-old-orphan");
  EXPECT_EQ(later.on_the_way, 4);
  Attempt half = Worked("u-old");
  half.sent_tokens = half.computed_tokens = 4;
  ASSERT_TRUE(usage_.AppendAttempts({half}).ok());
  EXPECT_EQ(Verify({.margin = absl::Hours(1)}).on_the_way, 5) << "a further attempt may come";
  EXPECT_EQ(Verify({.margin = absl::Hours(1)}).unexplained, 1);
}

TEST_F(ReportStoreTest, AttemptsBelongToTheirRequestWheneverTheyBegan) {
  Attempt before = Worked("u-plain"), far = Worked("u-elsewhere");
  before.time = far.time = month_.start - absl::Hours(1);
  ASSERT_TRUE(usage_.AppendAttempts({before, far, Worked("u-law"), Worked("u-credit")}).ok());
  EXPECT_TRUE(Verify().clean());
  const Interval earlier = IntervalOf(absl::CivilMonth(2026, 10));
  const VerifyReport report = Verify({.interval = earlier});
  ASSERT_EQ(report.unexplained, 1);
  EXPECT_EQ(report.differences[0].first.usage_id, "u-elsewhere");
  EXPECT_EQ(report.requests, 1);
}

TEST_F(ReportStoreTest, TransactionsThatDoNotBalanceAreFoundWhereTheyWerePosted) {
  ASSERT_TRUE(Execute("ALTER TABLE billing.ledger_entry DISABLE TRIGGER ledger_zero_sum").ok());
  ASSERT_TRUE(Execute("INSERT INTO billing.ledger_entry VALUES (1000001, 1, 'usage', 's', 'a', 5,"
                      " '2026-05-10'), (1000001, 2, 'usage', 's', 'b', -4, '2026-05-10')")
                  .ok());
  EXPECT_THAT(Verify({.interval = IntervalOf(absl::CivilMonth(2026, 5))}).ledger_faults,
              ElementsAre("1 ledger transactions do not sum to zero"));
  EXPECT_THAT(Verify({.interval = IntervalOf(absl::CivilMonth(2026, 4))}).ledger_faults, IsEmpty());
  EXPECT_THAT(Verify({.interval = IntervalOf(absl::CivilMonth(2026, 6))}).ledger_faults, IsEmpty());
}

// The statement keeps equal counts from Explain(): it must not keep anything else from it, and add
// up as Take() does.
TEST_F(ReportStoreTest, TheStatementFindsWhatExplainFinds) {
  std::mt19937 random(7);
  const auto draw = [&random](int below) { return static_cast<int64_t>(random() % below); };
  std::vector<UsageEvent> events;
  std::vector<Attempt> attempts;
  VerifyReport expected;
  for (int i = 0; i < 600; ++i) {
    UsageEvent event = Event(absl::StrCat("v", i));
    event.team = "verify";
    event.outcome = static_cast<Outcome>(draw(4));
    event.cache_hit = draw(8) == 0;
    // Two values each, so that many are equal and many are not.
    const int64_t input = 4 + draw(2), output = 2 + draw(2);
    if (event.cache_hit) {
      event.usage.quantities = {.cached_input_tokens = input, .cached_output_tokens = output};
    } else {
      event.usage.quantities = {.input_tokens = input, .output_tokens = output};
    }
    event.arrived_tokens = 2 + draw(2);
    RequestCounts counts{.usage_id = event.usage_id,
                         .cache_hit = event.cache_hit,
                         .outcome = event.outcome,
                         .input_tokens = input,
                         .output_tokens = output,
                         .arrived_tokens = event.arrived_tokens};
    for (int64_t n = draw(8) < 6 ? 1 : draw(3); n > 0; --n) {
      Attempt attempt = Worked(event.usage_id, absl::StrCat(event.usage_id, "-", n));
      attempt.outcome = static_cast<AttemptOutcome>(draw(4));
      attempt.prompt_tokens = 4 + draw(2);
      attempt.computed_tokens = 2 + draw(2);
      attempt.sent_tokens = 2 + draw(2);
      ++counts.attempts;
      counts.unfinished_attempts += attempt.outcome == AttemptOutcome::kFinished ? 0 : 1;
      counts.unknown_attempts += attempt.outcome == AttemptOutcome::kUnknown ? 1 : 0;
      counts.prompt_tokens += attempt.prompt_tokens;
      counts.computed_tokens += attempt.computed_tokens;
      counts.sent_tokens += attempt.sent_tokens;
      attempts.push_back(std::move(attempt));
    }
    events.push_back(std::move(event));
    expected.Take(counts, 1000);
  }
  Ingest(events);
  ASSERT_TRUE(usage_.AppendAttempts(attempts).ok());
  const VerifyReport found = Verify({.team = "verify", .max_differences = 1000});
  const auto sums = [](const VerifyReport& r) {
    return std::vector<int64_t>{r.requests,       r.computed_tokens, r.sent_tokens,
                                r.arrived_tokens, r.charged_tokens,  r.undelivered_tokens,
                                r.retried_tokens, r.cached_tokens,   r.unexplained};
  };
  const auto ids = [](const VerifyReport& r) {
    std::map<std::string, std::string> whats;
    for (const auto& [counts, what] : r.differences) whats[counts.usage_id] = what;
    return whats;
  };
  EXPECT_EQ(sums(found), sums(expected));
  EXPECT_EQ(ids(found), ids(expected));
  EXPECT_GT(expected.unexplained, 100);
  EXPECT_LT(expected.unexplained, 550);
}

TEST_F(ReportStoreTest, AWorkflowThatIsTooLargeIsNotShownInPart) {
  UsageEvent step = Event("w-0");
  step.workflow_id = "w";
  Ingest({step});
  Copy(kCopyEvent, "w-0", R"({"usage_id": "w-1"})");
  EXPECT_EQ(reports_.WorkflowSteps("nlp", "w")->size(), 2u);
  ASSERT_TRUE(Execute("INSERT INTO billing.usage_event SELECT (jsonb_populate_record(u,"
                      " jsonb_build_object('usage_id', 'w-' || n))).*"
                      " FROM billing.usage_event u, generate_series(2, 10000) n"
                      " WHERE usage_id = 'w-0'")
                  .ok());
  const absl::Status refused = reports_.WorkflowSteps("nlp", "w").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused)->reason, "WORKFLOW_TOO_LARGE");
}

TEST_F(ReportStoreTest, TrainingCostStandsBesideItsVersionsUse) {
  const std::string model = "teams/nlp/models/hamlet";
  UsageEvent event = Event("u-trained");
  event.usage.model = model;
  Ingest({event});
  const TrainingCost cost{.id = "t1",
                          .team = "nlp",
                          .model = model,
                          .model_version = "7",
                          .amount = Money::Dollars(12),
                          .start_time = At("2026-11-01T00:00:00Z"),
                          .days = 30};
  ASSERT_TRUE(training_.Insert(cost, {.id = "r"}).ok());
  ASSERT_TRUE(training_.Insert(cost, {.id = "r"}).ok());
  EXPECT_EQ(Sql("SELECT sum(amount) FROM billing.ledger_entry WHERE account = "
                "'capital/teams/nlp/models/hamlet@7'"),
            "12000000000000");
  const auto rows = CompareTrainingCost(*training_.List("nlp", clock_.Now()),
                                        *training_.Uses("nlp", clock_.Now()), {}, clock_.Now());
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->at(0).amortized, *Money::ParseDollars("9.2"));
  EXPECT_EQ(rows->at(0).revenue, Money::Picos(kEventPicos));
  EXPECT_THAT(*training_.List("law", clock_.Now()), IsEmpty());
}

TEST_F(ReportStoreTest, ATrainingCostIsForAModelOfItsTeamByItsWholeName) {
  for (const char* model : {"hamlet", "teams/law/models/hamlet", "teams/nlp/keys/k1"}) {
    const auto refused = training_.Insert({.id = "t1",
                                           .team = "nlp",
                                           .model = model,
                                           .model_version = "7",
                                           .amount = Money::Dollars(12),
                                           .days = 30},
                                          {});
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << model;
  }
}

}  // namespace
}  // namespace floe::billing
