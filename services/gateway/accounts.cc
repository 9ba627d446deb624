#include "services/gateway/accounts.h"

#include <filesystem>
#include <utility>

#include "absl/strings/strip.h"

#include "base/status_macros.h"
#include "gateway/postgres/workflow_steps.h"
#include "gateway/unaccounted.h"
#include "services/gateway/clients/budget_leases.h"
#include "services/gateway/clients/budget_rpc_client.h"
#include "services/gateway/clients/price_lists.h"
#include "services/gateway/clients/usage_journal.h"
#include "services/gateway/clients/workflow_counter.h"
#include "services/runtime/client.h"
#include "services/usage/billing_senders.h"
#include "services/usage/delivery.h"
#include "services/usage/lasting_name.h"
#include "services/usage/work_journal.h"

namespace floe::gateway {
namespace {

class FreeOfCharge final : public Accounts {
 public:
  FreeOfCharge(postgres::Pool& database, boost::asio::thread_pool& blocking)
      : steps_(database, blocking) {}
  const Prices& prices() override { return none_; }
  Budgets& budgets() override { return none_; }
  WorkflowSteps& steps() override { return steps_; }
  UsageLog& usage() override { return none_; }
  absl::Status Ready() override { return absl::OkStatus(); }
  void Flush(absl::Duration) override {}

 private:
  Unaccounted none_;
  WorkflowCounter steps_;
};

class Billed final : public Accounts {
 public:
  Billed(postgres::Pool& database, boost::asio::thread_pool& blocking)
      : steps_(database, blocking) {}
  // The last records settle in the budgets, and these give back their slices when they end.
  ~Billed() override {
    if (journal_ != nullptr) journal_->Sync();
  }

  absl::Status Open(const ServiceOptions& options, runtime::Host& host) {
    const std::filesystem::path folder = options.journal_dir;
    FLOE_ASSIGN_OR_RETURN(
        journal_, usage::WorkJournal::Open({.begun = folder / "begun", .ended = folder / "usage"},
                                           host.logger()));
    // It belongs to the journal: slices stay held until the journal that may hold their charges is
    // delivered.
    FLOE_ASSIGN_OR_RETURN(const std::string name,
                          usage::LastingName(folder, "gateway", host.ids()));
    FLOE_ASSIGN_OR_RETURN(
        const auto channel,
        runtime::MakeChannel(options.billing, options.common.tls, options.common.insecure));
    prices_ = std::make_unique<PriceLists>(channel, host.logger());
    budget_client_ = std::make_unique<BudgetRpcClient>(channel, name);
    FLOE_RETURN_IF_ERROR(OpenBudgets(folder, host));
    usage_ = std::make_unique<UsageJournal>(*journal_, name);
    usage::JournalDelivery::Options delivery;
    delivery.metric = "floe_gateway_usage";
    delivery.rejected_folder = folder / "rejected";
    FLOE_ASSIGN_OR_RETURN(delivery_, usage::JournalDelivery::Start(
                                         delivery, usage::SendUsage(channel),
                                         {journal_->ended(), host.logger(), host.metrics()}));
    return absl::OkStatus();
  }

  const Prices& prices() override { return *prices_; }
  Budgets& budgets() override { return *budgets_; }
  WorkflowSteps& steps() override { return steps_; }
  UsageLog& usage() override { return *usage_; }
  absl::Status Ready() override { return prices_->Ready(); }
  void Flush(absl::Duration timeout) override {
    journal_->Sync();  // delivery sees only what is on disk
    delivery_->Flush(timeout);
  }

 private:
  absl::Status OpenBudgets(const std::filesystem::path& folder, runtime::Host& host) {
    BudgetLeases::Options options;
    options.names_file = folder / "slices";
    const Journal& usage = journal_->ended();
    options.replayed = [&usage, found = usage.stats().appended] {
      return usage.stats().taken >= found;
    };
    FLOE_ASSIGN_OR_RETURN(
        budgets_, BudgetLeases::Start(std::move(options),
                                      {*budget_client_, host.clock(), host.ids(), host.logger()}));
    return absl::OkStatus();
  }

  // In the order of their making.
  WorkflowCounter steps_;
  std::unique_ptr<PriceLists> prices_;
  std::unique_ptr<BudgetRpcClient> budget_client_;
  std::unique_ptr<usage::WorkJournal> journal_;
  std::unique_ptr<BudgetLeases> budgets_;
  std::unique_ptr<UsageJournal> usage_;
  std::unique_ptr<usage::JournalDelivery> delivery_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Accounts>> Accounts::Open(const ServiceOptions& options,
                                                         runtime::Host& host,
                                                         postgres::Pool& database,
                                                         boost::asio::thread_pool& blocking) {
  const absl::Status forgotten = ForgetOldWorkflows(database);
  if (!forgotten.ok()) {
    host.logger().Warning("old workflows were not removed", {{"error", forgotten.ToString()}});
  }
  if (options.billing.empty()) {
    host.logger().Warning("no billing is configured: nothing is charged and no budget holds");
    return std::make_unique<FreeOfCharge>(database, blocking);
  }
  auto billed = std::make_unique<Billed>(database, blocking);
  FLOE_RETURN_IF_ERROR(billed->Open(options, host));
  return billed;
}

}  // namespace floe::gateway
