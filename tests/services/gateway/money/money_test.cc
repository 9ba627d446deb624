// Requests over HTTP whose money is real: budgets and ledger of a floe-billing on Postgres. One
// file, since each of its cases starts that process, and they do so one after the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/postgres/pool.h"
#include "gateway/postgres/schema.h"
#include "services/gateway/clients/workflow_counter.h"
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
  const pb::ExplainUsageResponse usage = billing_.Explain(floe["usage_id"]);
  EXPECT_EQ(usage.charge().picodollars(), Picos(kPicos));
  EXPECT_EQ(usage.event().model(), "teams/nlp/models/hamlet");
  EXPECT_EQ(usage.event().model_version(), "1");
  EXPECT_EQ(usage.event().operation(), "completion");
}

TEST_F(MoneyHttpTest, SeveralAnswersPayThePromptOnceAndEveryAnswerThatWasMade) {
  const HttpAnswer answer =
      Post(R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4, "n": 3})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json body = json::parse(answer.body);
  EXPECT_EQ(body["choices"].size(), 3u);
  EXPECT_EQ(body["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(body["usage"]["completion_tokens"], 12);
  const HttpAnswer best =
      Post(R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4, "best_of": 2})");
  ASSERT_EQ(best.status, 200) << best.body;
  EXPECT_EQ(json::parse(best.body)["choices"].size(), 1u);
  EXPECT_EQ(json::parse(best.body)["usage"]["completion_tokens"], 8);
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Explain(body["floe"]["usage_id"]).charge().picodollars(),
            Picos(3 * kInputPicos + 12 * kOutputPicos + kCallPicos));
  EXPECT_EQ(billing_.Total().charge().picodollars(),
            Picos(2 * (3 * kInputPicos + kCallPicos) + 20 * kOutputPicos));
  EXPECT_EQ(billing_.Total().requests(), 2);
  // All calls of one request are told apart.
  std::set<int> attempts;
  for (size_t i = 0; i < 2; ++i) {
    for (const auto& call : fleet_.worker(i).requests()) {
      if (call.usage_id() == body["floe"]["usage_id"]) attempts.insert(call.attempt());
    }
  }
  EXPECT_EQ(attempts, (std::set<int>{1, 2, 3}));
}

TEST_F(MoneyHttpTest, ARequestMayNotCostMoreThanItSays) {
  const HttpAnswer refused =
      Post(R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4, "max_cost": "0.0001037"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(CodeOf(refused), "max_cost_exceeded");
  EXPECT_THAT(refused.body, HasSubstr("may cost $0.0001038"));
  const HttpAnswer served =
      Post(R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4, "max_cost": "0.0001038"})");
  EXPECT_EQ(served.status, 200) << served.body;
}

TEST_F(MoneyHttpTest, VectorsPayTheirInputs) {
  HttpClient client(fleet_.port());
  const HttpAnswer answer =
      client.Post("/v1/embeddings", R"({"model": "hamlet", "input": ["abc", "de"]})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json floe = json::parse(answer.body)["floe"];
  EXPECT_EQ(answer.headers.at("x-floe-cost"), floe["cost"]["amount"]);
  ASSERT_TRUE(till_.Flush());
  const pb::ExplainUsageResponse usage = billing_.Explain(floe["usage_id"]);
  EXPECT_EQ(usage.charge().picodollars(), Picos(5 * kInputPicos + kCallPicos));
  EXPECT_EQ(usage.event().operation(), "embedding");
}

TEST_F(MoneyHttpTest, VectorsNeedRoomInABudget) {
  billing_.CreateBudget("little", 4 * kInputPicos);
  HttpClient client(fleet_.port());
  const HttpAnswer refused =
      client.Post("/v1/embeddings", R"({"model": "hamlet", "input": ["abc", "de"]})");
  EXPECT_EQ(refused.status, 402);
  EXPECT_EQ(CodeOf(refused), "budget_exceeded");
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

// Asked for priority, kept the promise of default: the difference is paid back.
TEST_F(MoneyHttpTest, AMissedTierIsACreditInTheLedger) {
  for (size_t i = 0; i < 2; ++i) {
    fleet_.worker(i).Behave([](grpc::ServerContext& context,
                               const inference::v1::GenerateRequest& request,
                               FakeWorker::Writer& writer) {
      inference::v1::GenerateRequest slower = request;
      slower.set_service_tier("default");
      return FakeWorker::Usual()(context, slower, writer);
    });
  }
  const HttpAnswer answer =
      Post(R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4, "service_tier": "priority"})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json floe = json::parse(answer.body)["floe"];
  EXPECT_EQ(floe["service_tier"], "priority");
  EXPECT_EQ(floe["service_tier_met"], "default");
  ASSERT_TRUE(till_.Flush());
  const int64_t difference = 3 * kInputPicos + 4 * kOutputPicos;  // priority tokens cost twice
  EXPECT_EQ(billing_.Total().charge().picodollars(), Picos(kPicos + difference));
  EXPECT_EQ(billing_.Total().credit().picodollars(), Picos(difference));
  EXPECT_EQ(billing_.Total().net().picodollars(), Picos(kPicos));
}

// By a budget that the gateway makes for it; another workflow has its own.
TEST_F(MoneyHttpTest, AWorkflowSpendsNoMoreThanItsPolicyAllows) {
  // Three calls, in dollars: what is left of the next one does not fit.
  fleet_.policies().Set("defaults: {workflow: {max_cost: \"0.00032\"}}");
  const auto post = [&](const char* workflow) {
    return Post(absl::StrCat(R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4,
                                 "floe": {"workflow_id": ")",
                             workflow, "\"}}"));
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(post("w1").status, 200);
  const HttpAnswer refused = post("w1");
  EXPECT_EQ(refused.status, 402);
  EXPECT_EQ(CodeOf(refused), "budget_exceeded");
  EXPECT_EQ(post("w2").status, 200);
  // A gateway that knows nothing of it yet is bound by the same budget, also by a policy of another
  // day.
  till_.EndLeases();
  Till second(billing_);
  FakeFleet fleet({.policy = "defaults: {workflow: {max_cost: \"9\"}}", .money = second.ports()});
  EXPECT_EQ(HttpClient(fleet.port())
                .Post(kPath,
                      R"({"model": "hamlet", "prompt": "abc", "max_tokens": 4,
                          "floe": {"workflow_id": "w1"}})",
                      kConsumerKey)
                .status,
            402);
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
  ASSERT_EQ(tree.steps_size(), 2);
  const pb::WorkflowTree::Step &plan = tree.steps(0), &act = tree.steps(1);
  EXPECT_EQ(plan.step(), "plan");
  EXPECT_EQ(plan.usage_id(), parent);
  EXPECT_EQ(plan.parent_id(), "");
  EXPECT_EQ(plan.depth(), 0);
  EXPECT_EQ(act.step(), "act");
  EXPECT_EQ(act.parent_id(), parent);
  EXPECT_EQ(act.depth(), 1);
  const int64_t each = kInputPicos + kOutputPicos + kCallPicos;
  EXPECT_EQ(plan.net().picodollars(), Picos(each));
  EXPECT_EQ(act.net().picodollars(), Picos(each));
  EXPECT_EQ(plan.subtree_net().picodollars(), Picos(2 * each));
  EXPECT_EQ(tree.net().picodollars(), Picos(2 * each));
  const auto nanos = [](const google::protobuf::Duration& d) {
    return d.seconds() * 1'000'000'000 + d.nanos();
  };
  EXPECT_EQ(nanos(plan.start_offset()), 0);
  EXPECT_GT(nanos(act.start_offset()), 0);
  EXPECT_GT(nanos(act.total_time()), 0);
  EXPECT_GE(nanos(act.total_time()), nanos(act.time_to_first_token()));
  EXPECT_GE(nanos(tree.elapsed()), nanos(act.start_offset()));
}

TEST_F(MoneyHttpTest, AStreamIsChargedAsAPlainAnswerIs) {
  const HttpAnswer plain = Post();
  const HttpAnswer stream = Post(kStream);
  ASSERT_EQ(stream.status, 200);
  ASSERT_THAT(stream.body, testing::EndsWith("data: [DONE]\n\n"));
  ASSERT_TRUE(till_.Flush());
  const std::string ids[] = {json::parse(plain.body)["floe"]["usage_id"],
                             stream.headers.at("x-floe-usage-id")};
  for (const std::string& id : ids) {
    const pb::ExplainUsageResponse usage = billing_.Explain(id);
    EXPECT_EQ(usage.charge().picodollars(), Picos(kPicos));
    EXPECT_EQ(usage.event().outcome(), pb::UsageEvent::COMPLETED);
    EXPECT_EQ(usage.event().arrived_tokens(), 4);
    EXPECT_EQ(usage.event().quantities().output_tokens(), 4);
  }
  EXPECT_EQ(billing_.Total().charge().picodollars(), Picos(2 * kPicos));
}

// Two gateways, each with its own till, on one budget and one database.
class TwoGatewaysTest : public MoneyHttpTest {
 protected:
  TwoGatewaysTest() { EXPECT_TRUE(MigrateSchema(*database_).ok()); }
  ~TwoGatewaysTest() override { threads_.join(); }
  FakeFleetOptions Options(Till& till) {
    FakeFleetOptions options{.money = till.ports()};
    options.money.steps = &steps_;
    return options;
  }
  void SetPolicy(std::string_view yaml) {
    first_.policies().Set(yaml);
    second_.policies().Set(yaml);
  }
  static int Status(const FakeFleet& gateway, std::string_view body) {
    return HttpClient(gateway.port()).Post(kPath, body).status;
  }
  static std::string Step(const std::string& workflow) {
    return json({{"model", "hamlet"},
                 {"prompt", "abc"},
                 {"max_tokens", 4},
                 {"floe", {{"workflow_id", workflow}}}})
        .dump();
  }

  std::unique_ptr<postgres::Pool> database_ =
      *postgres::Pool::Create({.dsn = test::Postgres::Shared().CreateDatabase()});
  boost::asio::thread_pool threads_{2};
  WorkflowCounter steps_{*database_, threads_};
  Till one_{billing_, "gateway-one"}, two_{billing_, "gateway-two"};
  FakeFleet first_{Options(one_)}, second_{Options(two_)};
};

// A slice is a tenth of the budget, so that both find room in turn and none is stranded.
TEST_F(TwoGatewaysTest, TogetherTheyServeWhatTheBudgetHolds) {
  billing_.CreateBudget("ten", 10 * kPicos);
  std::atomic<int> served = 0, refused = 0;
  std::vector<std::thread> clients;
  clients.reserve(50);
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back([&, i] {
      const int status = Status(i % 2 == 0 ? first_ : second_, kBody);
      served += status == 200 ? 1 : 0;
      refused += status == 402 ? 1 : 0;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(served, 10);
  EXPECT_EQ(refused, 40);
  ASSERT_TRUE(one_.Flush() && two_.Flush());
  EXPECT_EQ(billing_.Budget("ten").spent().picodollars(), Picos(10 * kPicos));
  EXPECT_EQ(billing_.Total().requests(), 10);
}

// What the other gateway's slice has left is out of reach until it is idle: less than a tenth.
TEST_F(TwoGatewaysTest, OneFindsAllButTheOthersSlice) {
  billing_.CreateBudget("forty", 40 * kPicos);
  ASSERT_EQ(Status(second_, kBody), 200);
  int served = 0;
  while (served < 50 && Status(first_, kBody) == 200) ++served;
  EXPECT_EQ(served, 36);
  EXPECT_EQ(Status(first_, kBody), 402);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Status(second_, kBody), 200);
  EXPECT_EQ(Status(second_, kBody), 402);
  ASSERT_TRUE(one_.Flush() && two_.Flush());
  EXPECT_EQ(billing_.Budget("forty").spent().picodollars(), Picos(40 * kPicos));
}

TEST_F(TwoGatewaysTest, AWorkflowsCostIsOneOverBoth) {
  SetPolicy(R"(defaults: {workflow: {max_cost: "0.0003114"}})");  // of three
  EXPECT_EQ(Status(first_, Step("w")), 200);
  EXPECT_EQ(Status(second_, Step("w")), 200);
  EXPECT_EQ(Status(first_, Step("w")), 200);
  for (const FakeFleet* gateway : {&first_, &second_}) {
    const HttpAnswer answer = HttpClient(gateway->port()).Post(kPath, Step("w"));
    EXPECT_EQ(answer.status, 402);
    EXPECT_EQ(CodeOf(answer), "budget_exceeded");
    EXPECT_EQ(Status(*gateway, kBody), 200) << "outside of the workflow";
    EXPECT_EQ(Status(*gateway, Step("another")), 200);
  }
}

TEST_F(TwoGatewaysTest, AWorkflowsStepsAreCountedOverBoth) {
  SetPolicy("defaults: {workflow: {max_steps: 5}}");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Status(i % 2 == 0 ? first_ : second_, Step("w")), 200);
  for (const FakeFleet* gateway : {&first_, &second_}) {
    const HttpAnswer answer = HttpClient(gateway->port()).Post(kPath, Step("w"));
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(CodeOf(answer), "workflow_steps_exceeded");
    EXPECT_EQ(Status(*gateway, Step("another")), 200);
  }
}

}  // namespace
}  // namespace floe::gateway
