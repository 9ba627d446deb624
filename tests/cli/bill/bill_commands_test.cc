// `floe bill …` in process, against a door that answers with what the test put there.
#include <gmock/gmock.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cli/bill/bill_text.h"
#include "cli/program.h"
#include <nlohmann/json.hpp>

#include "floe/billing/v1/budget.grpc.pb.h"
#include "floe/billing/v1/price_book.grpc.pb.h"
#include "floe/billing/v1/report.grpc.pb.h"
#include "floe/gateway/v1/gateway.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace floe::cli {
namespace {

namespace pb = billing::v1;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

pb::Money Picos(const std::string& picos) {
  pb::Money money;
  money.set_picodollars(picos);
  return money;
}

class FakeReports final : public pb::ReportService::Service {
 public:
  grpc::Status QueryReport(grpc::ServerContext*, const pb::QueryReportRequest* request,
                           pb::QueryReportResponse* answer) override {
    asked = *request;
    answer->mutable_group_by()->CopyFrom(request->group_by());
    pb::ReportRow& row = *answer->add_rows();
    const bool second = request->page_token() == "1";
    row.add_group(second ? "nlp" : "law");
    row.set_requests(1234);
    *row.mutable_net() = Picos("28000000");
    if (!second) answer->set_next_page_token("1");
    answer->mutable_total()->set_requests(2468);
    if (request->csv()) answer->set_csv(absl::StrCat("team\r\n", row.group(0), "\r\n"));
    return grpc::Status::OK;
  }
  grpc::Status VerifyUsage(grpc::ServerContext*, const pb::VerifyUsageRequest*,
                           pb::VerifyUsageResponse* answer) override {
    *answer = verdict;
    return grpc::Status::OK;
  }
  grpc::Status GetWorkflowTree(grpc::ServerContext*, const pb::GetWorkflowTreeRequest* request,
                               pb::WorkflowTree* answer) override {
    answer->set_name(request->name());
    for (int depth = 0; depth < 2; ++depth) {
      pb::WorkflowTree::Step& step = *answer->add_steps();
      step.set_step(depth == 0 ? "plan" : "look up");
      step.set_depth(depth);
      *step.mutable_net() = Picos("1500000000000");
      step.mutable_total_time()->set_seconds(2);
    }
    return grpc::Status::OK;
  }
  grpc::Status GetInvoice(grpc::ServerContext*, const pb::GetInvoiceRequest* request,
                          pb::Invoice* answer) override {
    answer->set_name(request->name());
    answer->set_state(pb::Invoice::DRAFT);
    if (request->html()) answer->set_html("<!doctype html>");
    return grpc::Status::OK;
  }
  grpc::Status ExportFocus(grpc::ServerContext*, const pb::ExportFocusRequest*,
                           grpc::ServerWriter<pb::ExportFocusResponse>* writer) override {
    for (const char* piece : {"BilledCost\r\n", "0.15\r\n"}) {
      pb::ExportFocusResponse answer;
      answer.set_csv(piece);
      writer->Write(answer);
    }
    return grpc::Status::OK;
  }

  grpc::Status CreateTrainingCost(grpc::ServerContext*,
                                  const pb::CreateTrainingCostRequest* request,
                                  pb::TrainingCost* answer) override {
    *answer = request->training_cost();
    return grpc::Status::OK;
  }

  grpc::Status QueryTrainingCost(grpc::ServerContext*, const pb::QueryTrainingCostRequest*,
                                 pb::QueryTrainingCostResponse* answer) override {
    auto& row = *answer->add_rows();
    row.set_model("teams/nlp/models/hamlet");
    row.set_model_version("7");
    *row.mutable_training_cost() = Picos("12500000000000");
    return grpc::Status::OK;
  }
  // One job that made hamlet@7 at the second attempt, and one that failed.
  grpc::Status QueryJobUsage(grpc::ServerContext*, const pb::QueryJobUsageRequest* request,
                             pb::QueryJobUsageResponse* answer) override {
    asked_usage = *request;
    if (request->team() == "law") return grpc::Status::OK;
    for (const bool made : {true, false}) {
      auto& row = *answer->add_rows();
      row.set_team("nlp");
      row.set_kind("pretrain");
      if (made) row.set_made("teams/nlp/models/hamlet/versions/7");
      if (request->each_job()) row.set_job(made ? "teams/nlp/jobs/trainer-a" : "trainer-b");
      row.set_jobs(1);
      row.mutable_used()->set_attempts(made ? 2 : 1);
      row.mutable_used()->set_tokens(1'500'000);
      row.mutable_used()->set_gigaflop(2500);
      row.mutable_used()->mutable_core_time()->set_seconds(90);
      row.mutable_unsuccessful()->mutable_core_time()->set_seconds(made ? 30 : 90);
    }
    answer->mutable_total()->set_attempts(3);
    answer->mutable_total()->set_tokens(3'000'000);
    answer->mutable_total()->set_gigaflop(5000);
    answer->mutable_total()->mutable_core_time()->set_seconds(180);
    return grpc::Status::OK;
  }

  pb::QueryReportRequest asked;
  pb::QueryJobUsageRequest asked_usage;
  pb::VerifyUsageResponse verdict;
};

class FakeBudgets final : public pb::BudgetService::Service {
 public:
  grpc::Status CreateBudget(grpc::ServerContext*, const pb::CreateBudgetRequest* request,
                            pb::Budget* answer) override {
    *answer = request->budget();
    answer->set_name("budgets/" + request->budget_id());
    return grpc::Status::OK;
  }
};

class FakeBooks final : public pb::PriceBookService::Service {
 public:
  grpc::Status CreatePriceBook(grpc::ServerContext*, const pb::CreatePriceBookRequest* request,
                               pb::PriceBook* answer) override {
    if (request->price_book().yaml() != "models: {}\n") {
      return {grpc::StatusCode::INVALID_ARGUMENT, "price book, line 3: input is negative"};
    }
    answer->set_name("priceBooks/" + request->price_book_id());
    *answer->mutable_effective_time() = request->price_book().effective_time();
    return grpc::Status::OK;
  }
};

class FakeKeys final : public gateway::v1::KeyService::Service {
 public:
  grpc::Status GetCaller(grpc::ServerContext*, const gateway::v1::GetCallerRequest*,
                         gateway::v1::Caller* answer) override {
    answer->set_team("teams/nlp");
    return grpc::Status::OK;
  }
};

class BillCommandsTest : public testing::Test {
 protected:
  BillCommandsTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&reports_);
    builder.RegisterService(&budgets_);
    builder.RegisterService(&books_);
    builder.RegisterService(&keys_);
    server_ = builder.BuildAndStart();
    variables_["FLOE_DOOR"] = absl::StrCat("127.0.0.1:", port);
  }
  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), "bill");
    std::istringstream in;
    std::ostringstream out, err;
    const int code = RunProgram(
        words, {.in = in, .out = out, .err = err},
        [this](const char* name) { return variables_[name]; }, dir_.path());
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  FakeReports reports_;
  FakeBudgets budgets_;
  FakeBooks books_;
  FakeKeys keys_;
  std::unique_ptr<grpc::Server> server_;
  test::TempDir dir_;
  std::map<std::string, std::string> variables_ = {{"FLOE_KEY", "floe-good"},
                                                   {"FLOE_INSECURE", "1"}};
  std::string out_, err_;
};

TEST_F(BillCommandsTest, AReportHasAllPagesAndItsTotal) {
  EXPECT_EQ(Run({"report", "--by", "team", "--where", "model=a=b", "--month", "2026-11"}), 0)
      << err_;
  EXPECT_THAT(out_, HasSubstr("law"));
  EXPECT_THAT(out_, HasSubstr("nlp"));
  EXPECT_THAT(out_, HasSubstr("2,468"));
  EXPECT_THAT(out_, HasSubstr("$0.000028"));
  EXPECT_EQ(reports_.asked.filter().at("model"), "a=b");
  EXPECT_EQ(reports_.asked.interval().start().seconds(), 1793491200);
  EXPECT_EQ(Run({"report", "--by", "team", "--csv"}), 0);
  EXPECT_EQ(out_, "team\r\nlaw\r\nnlp\r\n");
  EXPECT_EQ(Run({"report", "--by", "team", "--json"}), 0);
  const json answer = json::parse(out_);
  EXPECT_EQ(answer["group_by"], json::array({"team"}));
  EXPECT_EQ(answer["rows"].size(), 2u);
  EXPECT_EQ(answer["rows"][0]["requests"], 1234);
  EXPECT_EQ(answer["rows"][0]["net"]["picodollars"], "28000000");
  EXPECT_EQ(Run({"report", "--from", "yesterday"}), 2);
}

TEST_F(BillCommandsTest, VerifyFailsWithTheRequestsThatDiffer) {
  reports_.verdict.set_clean(true);
  EXPECT_EQ(Run({"verify"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("clean"));
  EXPECT_THAT(out_, testing::Not(HasSubstr("on their way")));
  EXPECT_THAT(out_, testing::Not(HasSubstr("USED BY JOBS"))) << "there were none";
  reports_.verdict.mutable_jobs_counted()->set_attempts(3);
  reports_.verdict.mutable_jobs_billed()->set_attempts(2);
  EXPECT_EQ(Run({"verify"}), 0) << err_;
  EXPECT_THAT(out_, testing::ContainsRegex("counted by queues +3 .*\ncame to billing +2 "));
  reports_.verdict.set_on_the_way(3);
  EXPECT_EQ(Run({"verify"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("on their way: 3 requests"));
  EXPECT_EQ(Run({"verify", "--json"}), 0);
  EXPECT_EQ(json::parse(out_)["on_the_way"], 3);
  reports_.verdict.set_clean(false);
  reports_.verdict.set_unexplained(1);
  auto& difference = *reports_.verdict.add_differences();
  difference.set_usage_id("01jabc");
  difference.set_what("the ledger charged 6 tokens");
  EXPECT_EQ(Run({"verify"}), 1);
  EXPECT_THAT(out_, HasSubstr("01jabc  the ledger charged 6 tokens"));
  EXPECT_THAT(err_, HasSubstr("USAGE_UNEXPLAINED"));
  EXPECT_EQ(Run({"verify", "--json"}), 1);
  EXPECT_EQ(json::parse(out_)["differences"][0]["usage_id"], "01jabc");
}

TEST_F(BillCommandsTest, ATreeIsIndented) {
  EXPECT_EQ(Run({"tree", "w1"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("\n  look up"));
  EXPECT_THAT(out_, HasSubstr("$1.50"));
  EXPECT_EQ(Run({"tree", "w1", "--json"}), 0);
  EXPECT_EQ(json::parse(out_)["name"], "teams/nlp/workflows/w1");
  EXPECT_EQ(json::parse(out_)["steps"][0]["total_time"], 2.0);
}

TEST_F(BillCommandsTest, InvoicesAndFocusRowsGoToFilesAndPipes) {
  EXPECT_EQ(Run({"invoice", "2026-11", "--html", "page.html"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("teams/nlp/invoices/2026-11  draft"));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "page.html"));
  EXPECT_EQ(Run({"focus", "2026-11"}), 0) << err_;
  EXPECT_EQ(out_, "BilledCost\r\n0.15\r\n");
}

TEST_F(BillCommandsTest, ATrainingCostNamesItsModelAsReportsDo) {
  const auto model = [&](const std::vector<std::string>& arguments) {
    EXPECT_EQ(Run(arguments), 0) << err_;
    return json::parse(out_)["model"];
  };
  EXPECT_EQ(model({"training", "add", "hamlet", "7", "12", "--json"}), "teams/nlp/models/hamlet");
  EXPECT_EQ(model({"training", "add", "hamlet", "7", "12", "--team", "law", "--json"}),
            "teams/law/models/hamlet");
  EXPECT_EQ(model({"training", "add", "teams/nlp/models/hamlet", "7", "12", "--json"}),
            "teams/nlp/models/hamlet");
}

TEST_F(BillCommandsTest, WhatTrainingUsedStandsBesideItsCost) {
  EXPECT_EQ(Run({"training", "usage", "--month", "2026-11"}), 0) << err_;
  EXPECT_THAT(out_, testing::ContainsRegex("nlp +pretrain +hamlet@7 +1 +2 +1,500,000 +2.50 TFLOP"
                                           " +1 min 30 s +30 s +[$]12.50"));
  EXPECT_THAT(out_, testing::ContainsRegex("nlp +pretrain +- +1 +1 +1,500,000 +2.50 TFLOP"
                                           " +1 min 30 s +1 min 30 s +-"));
  EXPECT_THAT(out_, testing::ContainsRegex("total +2 +3 +3,000,000 +5.00 TFLOP +3 min 00 s"
                                           " +2 min 00 s"));
  EXPECT_EQ(reports_.asked_usage.start().seconds(), 1793491200);
  EXPECT_EQ(reports_.asked_usage.end().seconds(), 1793491200 + 30 * 86400);

  EXPECT_EQ(Run({"training", "usage", "--jobs", "--json"}), 0) << err_;
  EXPECT_FALSE(reports_.asked_usage.has_start()) << "since the first job";
  const json usage = json::parse(out_);
  EXPECT_EQ(usage["rows"][0]["job"], "teams/nlp/jobs/trainer-a");
  EXPECT_EQ(usage["rows"][0]["used"]["core_time"], 90.0);
  EXPECT_EQ(usage["rows"][0]["training_cost"]["dollars"], "12.50");
  EXPECT_TRUE(usage["rows"][1]["training_cost"].is_null());
  EXPECT_EQ(usage["total"]["gigaflop"], 5000);
  EXPECT_EQ(Run({"training", "usage", "--jobs"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("trainer-a"));

  EXPECT_EQ(Run({"training", "usage", "--team", "law"}), 0) << err_;
  EXPECT_EQ(out_, "No attempt of a job ended in this time.\n");
  EXPECT_EQ(Run({"training", "usage", "--from", "yesterday"}), 2);
}

TEST_F(BillCommandsTest, BudgetsAreForTheKeysTeamUnlessSaidOtherwise) {
  EXPECT_EQ(Run({"budgets", "create", "daily", "0.05", "--period", "day", "--json"}), 0) << err_;
  const json made = json::parse(out_)[0];
  EXPECT_EQ(made["subject"]["team"], "nlp");
  EXPECT_EQ(made["limit"]["picodollars"], "50000000000");
  EXPECT_EQ(made["period"], "DAY");
  EXPECT_EQ(Run({"budgets", "create", "daily", "0.05", "--period", "week"}), 2);
  EXPECT_EQ(Run({"budgets", "create", "daily", "five"}), 2);
}

TEST_F(BillCommandsTest, ABookThatIsWrongIsAMistakeWithItsLine) {
  dir_.Write("good.yaml", "models: {}\n");
  dir_.Write("bad.yaml", "models:\n");
  EXPECT_EQ(Run({"books", "create", "b1", "good.yaml", "--effective", "2026-12-01"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("in force from 2026-12-01"));
  EXPECT_EQ(Run({"books", "create", "b1", "bad.yaml"}), 2);
  EXPECT_THAT(err_, HasSubstr("line 3"));
}

TEST(BillTextTest, AmountsKeepEveryDigit) {
  EXPECT_EQ(Dollars(Picos("150000")), "$0.00000015");
  EXPECT_EQ(Dollars(Picos("-2500000000000")), "-$2.50");
  EXPECT_EQ(Dollars(Picos("")), "$0.00");
  EXPECT_EQ(ParseDollars("$0.15")->picodollars(), "150000000000");
  EXPECT_FALSE(ParseDollars("1e3").ok());
  EXPECT_EQ(MessageJson(Picos("-1"))["dollars"], "-0.000000000001");
}

}  // namespace
}  // namespace floe::cli
