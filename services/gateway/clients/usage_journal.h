// Usage records on this gateway's disk, on their way to billing.
#pragma once

#include <memory>
#include <string>

#include "floe/billing/v1/usage.pb.h"
#include "gateway/accounting.h"
#include "services/usage/work_journal.h"

namespace floe::gateway {

billing::v1::UsageEvent ToProto(const UsageRecord& record, const std::string& gateway);

// Thread-safe. Borrows `journal`. `gateway` is this gateway's lasting name.
class UsageJournal final : public UsageLog {
 public:
  UsageJournal(usage::WorkJournal& journal, std::string gateway)
      : journal_(journal), gateway_(std::move(gateway)) {}

  void Begin(UsageRecord record) noexcept override;
  void Drop(const std::string& usage_id) noexcept override { journal_.Drop(usage_id); }
  std::unique_ptr<Pending> Append(UsageRecord record,
                                  std::function<void(const absl::Status&)> written,
                                  const boost::asio::any_io_executor& waiter) override;
  void AppendOnly(UsageRecord record,
                  std::function<void(const absl::Status&)> written) noexcept override;

 private:
  usage::WorkJournal& journal_;
  const std::string gateway_;
};

}  // namespace floe::gateway
