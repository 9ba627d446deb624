// The money ports of a gateway without billing: everything is free and nobody counts.
#pragma once

#include "gateway/accounting.h"

namespace floe::gateway {

// Thread-safe.
class Unaccounted final : public Prices, public Budgets, public WorkflowSteps, public UsageLog {
 public:
  absl::StatusOr<std::shared_ptr<const PriceList>> Resolve(absl::Time time) const override;
  boost::asio::awaitable<absl::StatusOr<Reservation>> Reserve(const Spender& spender,
                                                              Picos amount) override;
  void Settle(const Reservation& reservation, Picos spent) noexcept override {}
  boost::asio::awaitable<absl::Status> Count(const std::string& team, const std::string& workflow,
                                             int64_t max_steps) override;
  void Begin(UsageRecord) noexcept override {}
  void Drop(const std::string&) noexcept override {}
  std::unique_ptr<Pending> Append(UsageRecord record,
                                  std::function<void(const absl::Status&)> written,
                                  const boost::asio::any_io_executor& waiter) override;
  void AppendOnly(UsageRecord record,
                  std::function<void(const absl::Status&)> written) noexcept override;
};

}  // namespace floe::gateway
