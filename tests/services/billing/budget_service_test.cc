// Budgets and slices over gRPC: who may, and what they look like.
#include "tests/services/billing/billing_service_fixture.h"

namespace floe::services::billing {
namespace {

using testing::HasSubstr;

TEST_F(BillingServiceTest, BudgetsAreMadeByAdminsAndLeasedByGateways) {
  v1::CreateBudgetRequest create;
  create.set_budget_id("daily");
  create.mutable_budget()->mutable_subject()->set_team("nlp");
  create.mutable_budget()->set_period(v1::Budget::DAY);
  create.mutable_budget()->mutable_limit()->set_picodollars("1000");
  v1::Budget budget;
  const auto make = [&](const Caller& caller) {
    return Call(budgets, &v1::BudgetService::Stub::CreateBudget, caller, create, budget);
  };
  EXPECT_EQ(make(kViewer).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(make(kStranger).code(), absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(make(kAdmin).ok());
  EXPECT_EQ(budget.name(), "budgets/daily");

  v1::ListApplicableBudgetsRequest who;
  who.set_team("nlp");
  v1::ListApplicableBudgetsResponse bound;
  ASSERT_TRUE(
      Call(budgets, &v1::BudgetService::Stub::ListApplicableBudgets, kService, who, bound).ok());
  ASSERT_EQ(bound.budgets_size(), 1);

  v1::AcquireSliceRequest acquire;
  acquire.set_budget("budgets/daily");
  acquire.set_gateway("g1");
  acquire.mutable_amount()->set_picodollars("700");
  v1::Slice slice;
  ASSERT_TRUE(Call(budgets, &v1::BudgetService::Stub::AcquireSlice, kService, acquire, slice).ok());
  EXPECT_EQ(slice.state(), v1::Slice::OPEN);
  const absl::Status full =
      Call(budgets, &v1::BudgetService::Stub::AcquireSlice, kService, acquire, slice);
  EXPECT_EQ(ReasonOf(full)->reason, "BUDGET_EXHAUSTED");

  clock_.Advance(absl::Minutes(2));
  v1::ListSlicesRequest list;
  list.set_parent("budgets/daily");
  v1::ListSlicesResponse slices;
  ASSERT_TRUE(Call(budgets, &v1::BudgetService::Stub::ListSlices, kAdmin, list, slices).ok());
  EXPECT_EQ(slices.slices(0).state(), v1::Slice::EXPIRED);
  EXPECT_EQ(slices.slices(0).held().picodollars(), "700");
  v1::ReturnSliceRequest give_back;
  give_back.set_name(slices.slices(0).name());
  ASSERT_TRUE(
      Call(budgets, &v1::BudgetService::Stub::ReturnSlice, kService, give_back, slice).ok());
  EXPECT_EQ(slice.state(), v1::Slice::SETTLED);
}

TEST_F(BillingServiceTest, ABudgetUpdateTouchesWhatItsMaskNames) {
  v1::CreateBudgetRequest create;
  create.set_budget_id("b");
  create.mutable_budget()->set_display_name("kept");
  create.mutable_budget()->mutable_subject()->set_key("teams/nlp/keys/k1");
  create.mutable_budget()->set_period(v1::Budget::TOTAL);
  create.mutable_budget()->mutable_limit()->set_picodollars("5");
  v1::Budget budget;
  ASSERT_TRUE(Call(budgets, &v1::BudgetService::Stub::CreateBudget, kAdmin, create, budget).ok());
  v1::UpdateBudgetRequest update;
  update.mutable_budget()->set_name("budgets/b");
  update.mutable_budget()->mutable_limit()->set_picodollars("9");
  update.mutable_update_mask()->add_paths("limit");
  ASSERT_TRUE(Call(budgets, &v1::BudgetService::Stub::UpdateBudget, kAdmin, update, budget).ok());
  EXPECT_EQ(budget.limit().picodollars(), "9");
  EXPECT_EQ(budget.display_name(), "kept");
  update.mutable_update_mask()->add_paths("subject");
  EXPECT_THAT(
      std::string(
          Call(budgets, &v1::BudgetService::Stub::UpdateBudget, kAdmin, update, budget).message()),
      HasSubstr("\"subject\""));
  update.mutable_update_mask()->clear_paths();
  update.mutable_budget()->mutable_limit()->set_picodollars("-1");
  EXPECT_EQ(Call(budgets, &v1::BudgetService::Stub::UpdateBudget, kAdmin, update, budget).code(),
            absl::StatusCode::kInvalidArgument);
}

class BudgetRightsTest : public BillingServiceTest {
 protected:
  absl::Status Make(const Caller& caller, const std::string& id, const std::string& team,
                    const std::string& request_id = "", const std::string& limit = "1000") {
    v1::CreateBudgetRequest request;
    request.set_budget_id(id);
    request.set_request_id(request_id);
    request.mutable_budget()->mutable_subject()->set_team(team);
    request.mutable_budget()->set_period(v1::Budget::DAY);
    request.mutable_budget()->mutable_limit()->set_picodollars(limit);
    made_.Clear();
    return Call(budgets, &v1::BudgetService::Stub::CreateBudget, caller, request, made_);
  }
  absl::Status Raise(const Caller& caller, const std::string& id) {
    v1::UpdateBudgetRequest request;
    request.mutable_budget()->set_name("budgets/" + id);
    request.mutable_budget()->mutable_limit()->set_picodollars("1000000");
    request.mutable_update_mask()->add_paths("limit");
    v1::Budget answer;
    return Call(budgets, &v1::BudgetService::Stub::UpdateBudget, caller, request, answer);
  }
  absl::Status Delete(const Caller& caller, const std::string& id) {
    v1::DeleteBudgetRequest request;
    request.set_name("budgets/" + id);
    v1::DeleteBudgetResponse answer;
    return Call(budgets, &v1::BudgetService::Stub::DeleteBudget, caller, request, answer);
  }

  v1::Budget made_;
};

TEST_F(BudgetRightsTest, ARequestIdOfAnotherTeamFindsNothingOfIt) {
  ASSERT_TRUE(Make(kAdmin, "nlp-daily", "nlp", "r1").ok());
  ASSERT_TRUE(Make(kStranger, "law-daily", "law", "r1", "5").ok());
  EXPECT_EQ(made_.name(), "budgets/law-daily");
  EXPECT_EQ(made_.limit().picodollars(), "5");
  ASSERT_TRUE(Make(kAdmin, "nlp-daily", "nlp", "r1").ok());
  EXPECT_EQ(made_.name(), "budgets/nlp-daily");
}

TEST_F(BudgetRightsTest, ARequestIdIsForOneChangeOnly) {
  ASSERT_TRUE(Make(kAdmin, "daily", "nlp", "r1").ok());
  for (const char* id : {"daily", "another"}) {
    const absl::Status refused = Make(kAdmin, id, "nlp", "r1", "2000");
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
    EXPECT_EQ(ReasonOf(refused)->reason, "REQUEST_ID_REUSED");
  }
  EXPECT_EQ(Make(kAdmin, "another", "nlp", std::string(201, 'r')).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Make(kAdmin, "another", "nlp", "r2").ok()) << "the refused ones made nothing";
}

TEST_F(BudgetRightsTest, WhatTheOperatorOrAPolicySetATeamCannotLift) {
  ASSERT_TRUE(Make(kOperator, "cap", "nlp").ok());
  ASSERT_TRUE(Make(kService, "workflow-0123", "nlp").ok());
  for (const char* id : {"cap", "workflow-0123"}) {
    const absl::Status refused = Raise(kAdmin, id);
    EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied) << id;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("tighter"));
    EXPECT_EQ(Delete(kAdmin, id).code(), absl::StatusCode::kPermissionDenied) << id;
    EXPECT_TRUE(Raise(kOperator, id).ok()) << id;
  }
  EXPECT_TRUE(Delete(kOperator, "cap").ok());
}

TEST_F(BudgetRightsTest, ATeamsOwnBudgetIsItsOwnToChange) {
  ASSERT_TRUE(Make(kOperator, "cap", "nlp").ok());
  ASSERT_TRUE(Make(kAdmin, "tighter", "nlp").ok());
  EXPECT_EQ(made_.creator_team(), "nlp");
  EXPECT_TRUE(Raise(kAdmin, "tighter").ok());
  EXPECT_TRUE(Raise(kOperator, "tighter").ok());
  EXPECT_TRUE(Delete(kAdmin, "tighter").ok());
}

TEST_F(BudgetRightsTest, NobodyTakesAPolicysBudgetIdFirst) {
  for (const Caller& caller : {kAdmin, kOperator}) {
    EXPECT_EQ(Make(caller, "workflow-0123", "nlp").code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(Make(kService, "workflow-0123", "nlp").ok());
  EXPECT_EQ(Make(kService, "workflow-0123", "nlp").code(), absl::StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace floe::services::billing
