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

}  // namespace
}  // namespace floe::services::billing
