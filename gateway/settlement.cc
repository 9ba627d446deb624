#include "gateway/settlement.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error_reason.h"

namespace floe::gateway {
namespace {

// Whether a rule over answers withheld this one: all of it, or its end.
bool IsBlocked(const Request& request) {
  if (request.finish) return request.finish->reason == FinishReason::kContentFilter;
  const std::optional<ErrorReason> reason = ReasonOf(request.meter.failure);
  return reason && reason->reason == "ANSWER_BREAKS_SCHEMA";
}

// The record's fate decides what stays spent: what is not in the journal is never charged. What
// costs nothing is free at once.
std::function<void(const absl::Status&)> WhenWritten(const Request& request, Budgets& budgets) {
  if (request.cost.picos == 0) {
    budgets.Settle(*request.reservation, 0);
    return [](const absl::Status&) {};
  }
  return [&budgets, reservation = *request.reservation, spent = request.cost.picos](
             const absl::Status& status) { budgets.Settle(reservation, status.ok() ? spent : 0); };
}

// The charge by the same code that billing runs. A price that the worst case had is there.
void Charge(Request& request) {
  if (request.prices == nullptr) return;
  absl::StatusOr<Cost> cost = request.prices->Charge(request.priced, ChargedQuantities(request));
  request.cost = cost.ok() ? *std::move(cost) : request.worst_case;
}

// Ahead of the request's own record: a journal keeps the order, so once that one is durable both
// are. A kill between the two leaves the search charged and the answer not.
void AppendRetrieval(const Request& request, UsageLog& usage) noexcept {
  std::optional<UsageRecord> record = RetrievalRecordOf(request);
  if (record) usage.AppendOnly(*std::move(record), [](const absl::Status&) {});
}

// Whether nothing of the answer was the client's: it was to come in one piece, and did not.
bool IsUndelivered(const Request& request) {
  return !request.ask.stream && !request.finish && !IsBlocked(request);
}

// The prompts of which an answer has begun to come, and what the client has had of it.
void AddArrived(const Request& request, UsageQuantities& quantities) {
  const auto& cached_prompts = request.meter.cached_prompts;
  for (size_t i = 0; i < cached_prompts.size(); ++i) {
    if (!cached_prompts[i]) continue;
    const auto prompt = static_cast<int64_t>(IdsOf(request, i).size());
    const int64_t cached = std::clamp<int64_t>(*cached_prompts[i], 0, prompt);
    quantities.cached_input_tokens += cached;
    quantities.input_tokens += prompt - cached;
    quantities.calls = 1;
  }
  quantities.output_tokens = IsUndelivered(request) ? 0 : request.meter.arrived;
}

}  // namespace

UsageQuantities ChargedQuantities(const Request& request) {
  const auto prompt = static_cast<int64_t>(request.prompt_ids.size());
  UsageQuantities quantities;
  if (request.cache == CacheUse::kHit) {
    quantities.cached_input_tokens = prompt;
    for (const cache::CachedAnswer& answer : *request.cached) {
      quantities.cached_output_tokens += answer.completion_tokens;
    }
    quantities.calls = 1;
  } else if (!request.vectors.empty()) {
    quantities.input_tokens = prompt;
    quantities.calls = 1;
  } else {
    AddArrived(request, quantities);
  }
  return quantities;
}

UsageOutcome EndOf(const Request& request) {
  if (IsBlocked(request)) return UsageOutcome::kBlocked;
  if (request.finish) return UsageOutcome::kCompleted;
  if (!request.meter.failure.ok() && !absl::IsCancelled(request.meter.failure)) {
    return UsageOutcome::kFailed;
  }
  return UsageOutcome::kDisconnected;
}

UsageRecord RecordOf(const Request& request, absl::Time now) {
  UsageRecord record;
  record.usage_id = request.usage_id;
  record.time = request.reservation->time;
  record.caller = request.scope.caller;
  record.call = request.priced;
  record.model_version = request.model.version.substr(request.model.version.rfind('/') + 1);
  record.checkpoint_digest = request.model.digest;
  record.price_book = request.prices->name();
  if (request.policy != nullptr) record.policy_version = request.policy->digest();
  record.quantities = ChargedQuantities(request);
  record.arrived_tokens = request.meter.arrived;
  record.receipts = request.meter.receipts;
  record.cache_hit = request.cache == CacheUse::kHit;
  record.outcome = EndOf(request);
  record.workflow = request.ask.workflow;
  record.tags = request.ask.tags;
  record.request_id = request.id;
  record.trace_id = request.trace_id;
  record.time_to_first_token = request.meter.first_token;
  record.total_time = std::max(absl::ZeroDuration(), now - request.arrived);
  record.slices = request.reservation->slices;
  if (request.finish) {
    record.served_tier = request.finish->tier_met;
    record.queue_time = request.finish->queue_time;
  }
  return record;
}

std::optional<UsageRecord> RetrievalRecordOf(const Request& request) {
  if (!request.retrieved || ChargedQuantities(request).calls == 0) return std::nullopt;
  UsageRecord record;
  record.usage_id = request.retrieved->usage_id;
  record.time = request.reservation->time;
  record.caller = request.scope.caller;
  record.call = {.operation = "retrieval", .tier = request.priced.tier};
  record.price_book = request.prices->name();
  if (request.policy != nullptr) record.policy_version = request.policy->digest();
  record.quantities.calls = 1;
  record.workflow = {.id = request.ask.workflow.id, .step = "retrieve"};
  if (!record.workflow.id.empty()) record.workflow.parent_id = request.usage_id;
  record.tags = request.ask.tags;
  record.request_id = request.id;
  record.trace_id = request.trace_id;
  record.total_time = request.retrieved->took;
  record.slices = request.reservation->slices;
  return record;
}

UsageRecord UnendedRecordOf(const Request& request, absl::Time now) {
  UsageRecord record = RecordOf(request, now);
  record.quantities = {};
  record.outcome = UsageOutcome::kFailed;
  return record;
}

std::unique_ptr<UsageLog::Pending> Settle(Request& request, const SettlementParts& parts,
                                          const boost::asio::any_io_executor& waiter) {
  if (request.settled || !request.reservation) return nullptr;
  request.settled = true;
  Charge(request);
  if (request.prices == nullptr) {
    parts.budgets.Settle(*request.reservation, 0);
    return nullptr;
  }
  AppendRetrieval(request, parts.usage);
  return parts.usage.Append(RecordOf(request, parts.clock.Now()),
                            WhenWritten(request, parts.budgets), waiter);
}

void SettleUnwaited(Request& request, const SettlementParts& parts) noexcept {
  if (request.settled || !request.reservation) return;
  request.settled = true;
  Charge(request);
  if (request.prices == nullptr) {
    parts.budgets.Settle(*request.reservation, 0);
    return;
  }
  AppendRetrieval(request, parts.usage);
  parts.usage.AppendOnly(RecordOf(request, parts.clock.Now()), WhenWritten(request, parts.budgets));
}

}  // namespace floe::gateway
