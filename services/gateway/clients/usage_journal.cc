#include "services/gateway/clients/usage_journal.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "services/gateway/clients/handoff.h"
#include "services/runtime/proto_time.h"

namespace floe::gateway {
namespace {

namespace pb = billing::v1;
using runtime::ToProto;

pb::UsageEvent::Outcome ToProto(UsageOutcome outcome) {
  switch (outcome) {
    case UsageOutcome::kCompleted:
      return pb::UsageEvent::COMPLETED;
    case UsageOutcome::kDisconnected:
      return pb::UsageEvent::DISCONNECTED;
    case UsageOutcome::kFailed:
      return pb::UsageEvent::FAILED;
    case UsageOutcome::kBlocked:
      break;
  }
  return pb::UsageEvent::BLOCKED;
}

// The end of one append, awaited by a coroutine.
class PendingRecord final : public UsageLog::Pending {
 public:
  explicit PendingRecord(const boost::asio::any_io_executor& waiter) : durable_(waiter) {}
  Handoff<absl::Status>::Giver giver() const { return durable_.giver(); }
  boost::asio::awaitable<absl::Status> Durable() override { co_return co_await durable_.Take(); }

 private:
  Handoff<absl::Status> durable_;
};

}  // namespace

pb::UsageEvent ToProto(const UsageRecord& record, const std::string& gateway) {
  pb::UsageEvent event;
  event.set_usage_id(record.usage_id);
  *event.mutable_time() = ToProto(record.time);
  event.set_tenant(record.caller.tenant);
  event.set_team(record.caller.team);
  event.set_key(record.caller.key_id);
  event.set_gateway(gateway);
  event.set_operation(record.call.operation);
  event.set_model(record.call.model);
  event.set_model_version(record.model_version);
  event.set_checkpoint_digest(record.checkpoint_digest);
  event.set_service_tier(std::string(TierName(record.call.tier)));
  event.set_served_tier(record.served_tier);
  event.set_price_book(record.price_book);
  event.set_policy_version(record.policy_version);
  pb::Quantities& quantities = *event.mutable_quantities();
  quantities.set_input_tokens(record.quantities.input_tokens);
  quantities.set_cached_input_tokens(record.quantities.cached_input_tokens);
  quantities.set_output_tokens(record.quantities.output_tokens);
  quantities.set_cached_output_tokens(record.quantities.cached_output_tokens);
  quantities.set_calls(record.quantities.calls);
  event.set_arrived_tokens(record.arrived_tokens);
  event.set_cache_hit(record.cache_hit);
  event.set_outcome(ToProto(record.outcome));
  event.set_workflow_id(record.workflow.id);
  event.set_parent_id(record.workflow.parent_id);
  event.set_step(record.workflow.step);
  event.mutable_tags()->insert(record.tags.begin(), record.tags.end());
  event.set_request_id(record.request_id);
  event.set_trace_id(record.trace_id);
  *event.mutable_queue_time() = ToProto(record.queue_time);
  *event.mutable_time_to_first_token() = ToProto(record.time_to_first_token);
  *event.mutable_total_time() = ToProto(record.total_time);
  for (const std::string& slice : record.slices) event.add_slices(slice);
  for (const std::string& receipt : record.receipts) event.add_receipts(receipt);
  return event;
}

void UsageJournal::Begin(UsageRecord record) noexcept {
  pb::UsageEvent event = ToProto(record, gateway_);
  event.set_presumed(true);
  journal_.Begin(record.usage_id, event.SerializeAsString());
}

std::unique_ptr<UsageLog::Pending> UsageJournal::Append(
    UsageRecord record, std::function<void(const absl::Status&)> written,
    const boost::asio::any_io_executor& waiter) {
  auto pending = std::make_unique<PendingRecord>(waiter);
  AppendOnly(std::move(record),
             [give = pending->giver(), written = std::move(written)](const absl::Status& status) {
               written(status);
               give(status);
             });
  return pending;
}

void UsageJournal::AppendOnly(UsageRecord record,
                              std::function<void(const absl::Status&)> written) noexcept {
  journal_.End(record.usage_id, ToProto(record, gateway_).SerializeAsString(), std::move(written));
}

}  // namespace floe::gateway
