// The money parts of a gateway in this process, as its composition makes them, in front of a
// floe-billing that a test owns.
#pragma once

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/id.h"
#include "services/gateway/clients/budget_leases.h"
#include "services/gateway/clients/price_lists.h"
#include "services/gateway/clients/usage_journal.h"
#include "services/usage/billing_senders.h"
#include "services/usage/delivery.h"
#include "services/usage/work_journal.h"
#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/money/billing_process.h"
#include "tests/support/temp_dir.h"

namespace floe::gateway {

class Till {
 public:
  explicit Till(BillingProcess& billing, const std::string& gateway = "gateway-test")
      : journal_(
            *usage::WorkJournal::Open({.begun = dir_ / "begun", .ended = dir_ / "usage"}, logger_)),
        prices_(billing.channel(), logger_),
        budget_client_(billing.channel(), gateway),
        budgets_(*BudgetLeases::Start({.names_file = dir_ / "slices"},
                                      {budget_client_, clock_, ids_, logger_})),
        usage_(*journal_, gateway),
        delivery_(*usage::JournalDelivery::Start(
            {.metric = "floe_gateway_usage", .rejected_folder = dir_ / "rejected"},
            usage::SendUsage(billing.channel()), {journal_->ended(), logger_, metrics_})) {
    const absl::Status known = prices_.Refresh();
    if (!known.ok()) std::abort();
  }
  ~Till() { journal_->Sync(); }

  MoneyPorts ports() { return {&prices_, budgets_.get(), nullptr, &usage_}; }
  bool Flush() { return delivery_->Flush(absl::Seconds(30)); }
  // Gives the slices back.
  void EndLeases() {
    journal_->Sync();
    budgets_.reset();
  }
  Journal& journal() { return journal_->ended(); }
  PriceLists& prices() { return prices_; }
  std::string metrics() const { return metrics_.Exposition(); }
  int64_t rejected() {
    delivery_.reset();
    return static_cast<int64_t>((*Journal::Open({.folder = dir_ / "rejected"}))->stats().pending());
  }

 private:
  test::TempDir dir_;
  SystemClock clock_;
  UlidGenerator ids_{clock_};
  runtime::Logger logger_{"gateway", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  std::unique_ptr<usage::WorkJournal> journal_;
  PriceLists prices_;
  BudgetRpcClient budget_client_;
  std::unique_ptr<BudgetLeases> budgets_;
  UsageJournal usage_;
  std::unique_ptr<usage::JournalDelivery> delivery_;
};

}  // namespace floe::gateway
