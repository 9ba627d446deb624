// Requests over HTTP whose money is real: budgets and ledger of a floe-billing on Postgres.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/http_client.h"
#include "tests/services/gateway/money/till.h"
#include "tests/support/postgres.h"

namespace floe::gateway {
namespace {

namespace pb = billing::v1;
using nlohmann::json;
using testing::HasSubstr;

constexpr char kPath[] = "/v1/completions";
// Three prompt tokens, four output tokens.
constexpr char kBody[] = R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4})";
constexpr char kStream[] =
    R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4, "stream": true})";
constexpr int64_t kPicos = 3 * kInputPicos + 4 * kOutputPicos + kCallPicos;

std::string Picos(int64_t picos) { return absl::StrCat(picos); }

std::string CodeOf(const HttpAnswer& answer) {
  return json::parse(answer.body)["error"]["code"].get<std::string>();
}

class MoneyHttpTest : public testing::Test {
 protected:
  HttpAnswer Post(std::string_view body = kBody, std::string_view headers = "") {
    return HttpClient(fleet_.port()).Post(kPath, body, kConsumerKey, headers);
  }
  // Statuses of requests that are sent all at once.
  std::vector<int> PostAtOnce(int count) {
    std::vector<int> statuses(static_cast<size_t>(count));
    std::vector<std::thread> clients;
    for (int& status : statuses) clients.emplace_back([&] { status = Post().status; });
    for (std::thread& client : clients) client.join();
    return statuses;
  }

  BillingProcess billing_;
  Till till_{billing_};
  FakeFleet fleet_{{.workers = 2, .money = till_.ports()}};
};

TEST_F(MoneyHttpTest, AnAnswerSaysWhatItCostAndTheLedgerSaysTheSame) {
  const HttpAnswer answer = Post();
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json floe = json::parse(answer.body)["floe"];
  EXPECT_EQ(floe["cost"]["amount"], "0.0001038");
  EXPECT_EQ(floe["cost"]["price_book"], "priceBooks/b1");
  EXPECT_EQ(answer.headers.at("x-floe-cost"), "0.0001038");
  ASSERT_TRUE(till_.Flush());
  pb::ExplainUsageRequest request;
  request.set_usage_id(floe["usage_id"].get<std::string>());
  pb::ExplainUsageResponse usage;
  ASSERT_TRUE(
      billing_.Call<pb::ReportService>(&pb::ReportService::Stub::ExplainUsage, request, usage)
          .ok());
  EXPECT_EQ(usage.charge().picodollars(), Picos(kPicos));
  EXPECT_EQ(usage.event().model(), "teams/nlp/models/hamlet");
  EXPECT_EQ(usage.event().model_version(), "1");
  EXPECT_EQ(usage.event().operation(), "completion");
}

TEST_F(MoneyHttpTest, AnAnswerThatRestsOnDocumentsPaysTheSearchAsACallOfItsOwn) {
  constexpr int64_t kSearchPicos = 500'000'000;  // the book's 0.0004 and its margin
  const HttpAnswer answer = Post(R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4,
      "floe": {"retrieval": {"collection": "handbook"}, "workflow_id": "w1", "step": "ask"}})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json floe = json::parse(answer.body)["floe"];
  const json& lines = floe["cost"]["lines"];
  ASSERT_EQ(lines.size(), 4u) << lines;
  EXPECT_EQ(lines[3]["kind"], "retrieval");
  EXPECT_EQ(lines[3]["amount"], "0.0005");
  ASSERT_TRUE(till_.Flush());
  pb::ExplainUsageRequest request;
  request.set_usage_id(floe["retrieval"]["usage_id"].get<std::string>());
  pb::ExplainUsageResponse search;
  ASSERT_TRUE(
      billing_.Call<pb::ReportService>(&pb::ReportService::Stub::ExplainUsage, request, search)
          .ok());
  EXPECT_EQ(search.charge().picodollars(), Picos(kSearchPicos));
  EXPECT_EQ(search.event().operation(), "retrieval");
  EXPECT_EQ(search.event().parent_id(), floe["usage_id"].get<std::string>());
  // What the answer said is what both are charged.
  const int64_t input = lines[0]["quantity"].get<int64_t>();
  const int64_t whole = input * kInputPicos + 4 * kOutputPicos + kCallPicos + kSearchPicos;
  EXPECT_EQ(billing_.Total().charge().picodollars(), Picos(whole));
  EXPECT_EQ(billing_.Total().requests(), 2);
}

TEST_F(MoneyHttpTest, OfFiftyRequestsAtOnceTheTenThatFitTheBudgetAreServed) {
  billing_.CreateBudget("ten", 10 * kPicos);
  const std::vector<int> statuses = PostAtOnce(50);
  EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 200), 10);
  EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 402), 40);
  const HttpAnswer refused = Post();
  EXPECT_EQ(refused.status, 402);
  EXPECT_EQ(CodeOf(refused), "budget_exceeded");
  EXPECT_EQ(refused.headers.count("retry-after"), 0u);
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Budget("ten").spent().picodollars(), Picos(10 * kPicos));
  EXPECT_EQ(billing_.Total().requests(), 10);
  // Nobody is refused for what others only tried.
  billing_.SetLimit("ten", 13 * kPicos);
  const std::vector<int> more = PostAtOnce(9);
  EXPECT_EQ(std::count(more.begin(), more.end(), 200), 3);
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Budget("ten").spent().picodollars(), Picos(13 * kPicos));
  till_.EndLeases();
  EXPECT_EQ(billing_.Budget("ten").held().picodollars(), "0");
}

TEST_F(MoneyHttpTest, RequestsThatFailedHoldNothing) {
  billing_.CreateBudget("one", kPicos);
  for (size_t i = 0; i < 2; ++i) {
    fleet_.worker(i).Behave([](auto&, const auto&, auto&) {
      return grpc::Status(grpc::StatusCode::INTERNAL, "broken");
    });
  }
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Post().status, 500);
  for (size_t i = 0; i < 2; ++i) fleet_.worker(i).Behave(FakeWorker::Usual());
  EXPECT_EQ(Post().status, 200);
  EXPECT_EQ(Post().status, 402);
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Budget("one").spent().picodollars(), Picos(kPicos));
}

TEST_F(MoneyHttpTest, ABudgetOfZeroRefusesEverything) {
  billing_.CreateBudget("zero", 0);
  EXPECT_EQ(Post().status, 402);
  EXPECT_EQ(Post(kStream).status, 402);
  EXPECT_TRUE(fleet_.worker(0).requests().empty() && fleet_.worker(1).requests().empty());
}

TEST_F(MoneyHttpTest, AClientThatLeavesInMidStreamPaysOnceForWhatWasGenerated) {
  for (size_t i = 0; i < 2; ++i) fleet_.worker(i).Behave(FakeWorker::HangAfter("x"));
  {
    HttpClient client(fleet_.port());
    ASSERT_TRUE(client.Write(PostText(kPath, kStream)));
    ASSERT_THAT(client.ReadUntil("\"x\""), HasSubstr("\"x\""));
  }
  ASSERT_TRUE(fleet_.worker(0).requests().size() == 1 ? fleet_.worker(0).WaitForCancelled(1)
                                                      : fleet_.worker(1).WaitForCancelled(1));
  while (till_.journal().stats().appended == 0) till_.journal().Sync();
  ASSERT_TRUE(till_.Flush());
  const pb::ReportRow total = billing_.Total();
  EXPECT_EQ(total.requests(), 1);
  EXPECT_EQ(total.output_tokens(), 1);
  EXPECT_EQ(total.charge().picodollars(), Picos(3 * kInputPicos + kOutputPicos + kCallPicos));
}

TEST_F(MoneyHttpTest, ReusedRequestIdsAreChargedEachTime) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Post(kBody, "X-Request-Id: the-same\r\n").status, 200);
  }
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Total().requests(), 3);
  EXPECT_EQ(billing_.Total().charge().picodollars(), Picos(3 * kPicos));
}

TEST_F(MoneyHttpTest, WithBillingGoneRequestsGoOnInsideTheSliceAndTheLedgerIsExactAfterwards) {
  // Slices are a tenth: one of 2000 requests holds 200.
  billing_.CreateBudget("large", 2000 * kPicos);
  ASSERT_EQ(Post().status, 200);
  ASSERT_TRUE(till_.Flush());
  billing_.Kill();
  int served = 1;
  for (; served < 500 && Post().status == 200; ++served) {
  }
  EXPECT_EQ(served, 200);
  EXPECT_GE(till_.journal().stats().pending(), 100u);
  const HttpAnswer refused = Post();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(CodeOf(refused), "budget_unavailable");
  EXPECT_THAT(till_.metrics(), HasSubstr("floe_gateway_usage_pending_records"));

  billing_.Start();
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(till_.journal().stats().pending(), 0u);
  EXPECT_EQ(billing_.Total().requests(), 200);
  EXPECT_EQ(billing_.Budget("large").spent().picodollars(), Picos(200 * kPicos));
  while (Post().status != 200) {  // as soon as the channel is there again
  }
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Budget("large").spent().picodollars(), Picos(201 * kPicos));
}

TEST_F(MoneyHttpTest, PostgresGoneForAWhileLosesNothingAndDoublesNothing) {
  ASSERT_EQ(Post().status, 200);
  test::Postgres::Shared().Stop();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Post().status, 200);
  EXPECT_GE(till_.journal().stats().pending(), 20u);
  test::Postgres::Shared().Start();
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Total().requests(), 21);
  EXPECT_EQ(billing_.Total().charge().picodollars(), Picos(21 * kPicos));
}

TEST_F(MoneyHttpTest, TheSameEventFiveTimesCountsOnce) {
  ASSERT_EQ(Post().status, 200);
  const auto records = till_.journal().ReadAfter(0, 10);
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 1u);
  const auto send = usage::SendUsage(billing_.channel());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send({(*records)[0].record}).ok());
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Total().requests(), 1);
  EXPECT_EQ(billing_.Total().charge().picodollars(), Picos(kPicos));
}

TEST_F(MoneyHttpTest, ARecordThatBillingWillNeverTakeDoesNotStopTheOthers) {
  ASSERT_TRUE(till_.journal().AppendAndWait("not an event").ok());
  pb::UsageEvent nameless;
  nameless.set_team("nlp");
  ASSERT_TRUE(till_.journal().AppendAndWait(nameless.SerializeAsString()).ok());
  ASSERT_EQ(Post().status, 200);
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Total().requests(), 1);
  EXPECT_EQ(till_.rejected(), 2);
}

TEST_F(MoneyHttpTest, ANewBookHoldsForRequestsThatArriveFromThenOn) {
  ASSERT_EQ(Post().status, 200);
  billing_.PublishBook("b2", "models:\n  hamlet:\n    default: {input: 1, output: 2}\n");
  ASSERT_TRUE(till_.prices().Refresh().ok());
  const json floe = json::parse(Post().body)["floe"];
  EXPECT_EQ(floe["cost"]["price_book"], "priceBooks/b2");
  EXPECT_EQ(floe["cost"]["amount"], "0.000011");
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Total().charge().picodollars(), Picos(kPicos + 11'000'000));
}

TEST_F(MoneyHttpTest, WhatTheBookDoesNotPriceIsRefused) {
  billing_.PublishBook("b2", "models:\n  other:\n    default: {input: 1, output: 2}\n");
  ASSERT_TRUE(till_.prices().Refresh().ok());
  const HttpAnswer answer = Post();
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(CodeOf(answer), "no_price");
}

TEST_F(MoneyHttpTest, AWorkflowsCallsMakeATree) {
  const json first = json::parse(Post(R"({"model": "hamlet", "prompt": "a", "max_tokens": 1,
               "floe": {"workflow_id": "w1", "step": "plan"}})")
                                     .body);
  const std::string parent = first["floe"]["usage_id"].get<std::string>();
  const json body = {{"model", "hamlet"},
                     {"prompt", "b"},
                     {"max_tokens", 1},
                     {"metadata", {{"project", "blue"}}},
                     {"floe", {{"workflow_id", "w1"}, {"parent_id", parent}, {"step", "act"}}}};
  ASSERT_EQ(Post(body.dump()).status, 200);
  ASSERT_TRUE(till_.Flush());
  pb::GetWorkflowTreeRequest request;
  request.set_name("teams/nlp/workflows/w1");
  pb::WorkflowTree tree;
  const absl::Status got =
      billing_.Call<pb::ReportService>(&pb::ReportService::Stub::GetWorkflowTree, request, tree);
  ASSERT_TRUE(got.ok()) << got;
  EXPECT_THAT(tree.DebugString(), HasSubstr("plan"));
  EXPECT_THAT(tree.DebugString(), HasSubstr(parent));
}

}  // namespace
}  // namespace floe::gateway
