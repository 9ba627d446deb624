#include "services/billing/convert.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::services::billing {
namespace {

domain::Outcome OutcomeOf(v1::UsageEvent::Outcome outcome) {
  switch (outcome) {
    case v1::UsageEvent::DISCONNECTED:
      return domain::Outcome::kDisconnected;
    case v1::UsageEvent::FAILED:
      return domain::Outcome::kFailed;
    case v1::UsageEvent::BLOCKED:
      return domain::Outcome::kBlocked;
    default:
      return domain::Outcome::kCompleted;
  }
}

v1::UsageEvent::Outcome ToProto(domain::Outcome outcome) {
  switch (outcome) {
    case domain::Outcome::kCompleted:
      return v1::UsageEvent::COMPLETED;
    case domain::Outcome::kDisconnected:
      return v1::UsageEvent::DISCONNECTED;
    case domain::Outcome::kFailed:
      return v1::UsageEvent::FAILED;
    case domain::Outcome::kBlocked:
      return v1::UsageEvent::BLOCKED;
  }
  return v1::UsageEvent::OUTCOME_UNSPECIFIED;
}

domain::Quantities FromProto(const v1::Quantities& q) {
  return {.input_tokens = q.input_tokens(),
          .cached_input_tokens = q.cached_input_tokens(),
          .output_tokens = q.output_tokens(),
          .cached_output_tokens = q.cached_output_tokens(),
          .calls = q.calls()};
}

absl::Status ReadWords(const v1::UsageEvent& event, domain::UsageEvent& out) {
  FLOE_ASSIGN_OR_RETURN(out.usage.operation, domain::ParseOperation(event.operation()));
  FLOE_ASSIGN_OR_RETURN(out.usage.tier, domain::ParseTier(event.service_tier()));
  out.served_tier = out.usage.tier;
  if (!event.served_tier().empty()) {
    FLOE_ASSIGN_OR_RETURN(out.served_tier, domain::ParseTier(event.served_tier()));
  }
  FLOE_ASSIGN_OR_RETURN(out.price_book, PriceBookId(event.price_book()));
  return absl::OkStatus();
}

}  // namespace

v1::Money ToProto(domain::Money money) {
  v1::Money out;
  out.set_picodollars(money.ToString());
  out.set_currency("USD");
  return out;
}

absl::StatusOr<domain::Money> FromProto(const v1::Money& money, std::string_view field) {
  if (!money.currency().empty() && money.currency() != "USD") {
    return absl::InvalidArgumentError(absl::StrCat(
        AbslView(field), " is in ", money.currency().substr(0, 20), "; the ledger is in USD"));
  }
  if (money.picodollars().empty()) return domain::Money();
  auto amount = domain::Money::Parse(money.picodollars());
  if (amount.ok()) return amount;
  return absl::Status(amount.status().code(),
                      absl::StrCat(AbslView(field), ": ", amount.status().message()));
}

absl::StatusOr<domain::RequestKey> KeyOf(const runtime::CallIdentity& identity,
                                         const google::protobuf::Message& request,
                                         const std::string& request_id) {
  constexpr size_t kMaxBytes = 200;
  if (request_id.size() > kMaxBytes || absl::StrContains(request_id, '\0')) {
    return absl::InvalidArgumentError(
        absl::StrCat("request_id must be at most ", kMaxBytes, " bytes without NUL"));
  }
  return domain::RequestKey{identity.team, request_id, Sha256::Hex(request.SerializeAsString())};
}

v1::Quantities ToProto(const domain::Quantities& q) {
  v1::Quantities out;
  out.set_input_tokens(q.input_tokens);
  out.set_cached_input_tokens(q.cached_input_tokens);
  out.set_output_tokens(q.output_tokens);
  out.set_cached_output_tokens(q.cached_output_tokens);
  out.set_calls(q.calls);
  return out;
}

v1::ChargeLine ToProto(const domain::ChargeLine& line) {
  v1::ChargeLine out;
  out.set_kind(std::string(Name(line.kind)));
  out.set_quantity(line.quantity);
  *out.mutable_unit_price() = ToProto(line.unit_price);
  *out.mutable_amount() = ToProto(line.amount);
  return out;
}

absl::StatusOr<domain::UsageEvent> FromProto(const v1::UsageEvent& event) {
  domain::UsageEvent out;
  FLOE_RETURN_IF_ERROR(ReadWords(event, out));
  out.usage_id = event.usage_id();
  out.time = FromProto(event.time());
  if (!event.tenant().empty()) out.tenant = event.tenant();
  out.team = event.team();
  out.key = event.key();
  out.gateway = event.gateway();
  out.usage.model = event.model();
  out.usage.quantities = FromProto(event.quantities());
  out.model_version = event.model_version();
  out.checkpoint_digest = event.checkpoint_digest();
  out.policy_version = event.policy_version();
  out.arrived_tokens = event.arrived_tokens();
  out.cache_hit = event.cache_hit();
  out.outcome = OutcomeOf(event.outcome());
  out.workflow_id = event.workflow_id();
  out.parent_id = event.parent_id();
  out.step = event.step();
  out.tags.insert(event.tags().begin(), event.tags().end());
  out.request_id = event.request_id();
  out.trace_id = event.trace_id();
  out.queue_time = FromProto(event.queue_time());
  out.time_to_first_token = FromProto(event.time_to_first_token());
  out.total_time = FromProto(event.total_time());
  out.slices.assign(event.slices().begin(), event.slices().end());
  out.presumed = event.presumed();
  out.receipts.assign(event.receipts().begin(), event.receipts().end());
  return out;
}

v1::UsageEvent ToProto(const domain::UsageEvent& event) {
  v1::UsageEvent out;
  out.set_usage_id(event.usage_id);
  *out.mutable_time() = ToProto(event.time);
  out.set_tenant(event.tenant);
  out.set_team(event.team);
  out.set_key(event.key);
  out.set_gateway(event.gateway);
  out.set_operation(std::string(Name(event.usage.operation)));
  out.set_model(event.usage.model);
  out.set_model_version(event.model_version);
  out.set_checkpoint_digest(event.checkpoint_digest);
  out.set_service_tier(std::string(Name(event.usage.tier)));
  out.set_served_tier(std::string(Name(event.served_tier)));
  out.set_price_book(PriceBookName(event.price_book));
  out.set_policy_version(event.policy_version);
  *out.mutable_quantities() = ToProto(event.usage.quantities);
  out.set_arrived_tokens(event.arrived_tokens);
  out.set_cache_hit(event.cache_hit);
  out.set_outcome(ToProto(event.outcome));
  out.set_workflow_id(event.workflow_id);
  out.set_parent_id(event.parent_id);
  out.set_step(event.step);
  out.mutable_tags()->insert(event.tags.begin(), event.tags.end());
  out.set_request_id(event.request_id);
  out.set_trace_id(event.trace_id);
  *out.mutable_queue_time() = ToProto(event.queue_time);
  *out.mutable_time_to_first_token() = ToProto(event.time_to_first_token);
  *out.mutable_total_time() = ToProto(event.total_time);
  out.mutable_slices()->Add(event.slices.begin(), event.slices.end());
  out.mutable_receipts()->Add(event.receipts.begin(), event.receipts.end());
  return out;
}

v1::IngestUsageResponse::Result ToProto(const std::string& usage_id,
                                        const domain::IngestUsage::Outcome& outcome) {
  v1::IngestUsageResponse::Result out;
  out.set_usage_id(usage_id);
  out.set_reason(outcome.result.reason);
  switch (outcome.result.state) {
    case domain::IngestState::kAccepted:
      out.set_state(v1::IngestUsageResponse::Result::ACCEPTED);
      *out.mutable_charge() = ToProto(outcome.charge);
      if (!outcome.credit.is_zero()) *out.mutable_credit() = ToProto(outcome.credit);
      break;
    case domain::IngestState::kDuplicate:
      out.set_state(v1::IngestUsageResponse::Result::DUPLICATE);
      break;
    case domain::IngestState::kConflict:
      out.set_state(v1::IngestUsageResponse::Result::CONFLICT);
      break;
    case domain::IngestState::kParked:
      out.set_state(v1::IngestUsageResponse::Result::PARKED);
      break;
  }
  return out;
}

domain::JobUsage FromProto(const v1::JobUsage& usage, const std::string& queue) {
  return {
      .job = usage.job(),
      .attempt = usage.attempt(),
      .queue = queue,
      .kind = usage.kind(),
      .runner = usage.runner(),
      .start_time = usage.has_start_time() ? FromProto(usage.start_time()) : absl::InfinitePast(),
      .end_time = FromProto(usage.end_time()),
      .outcome = usage.outcome(),
      .made = usage.made(),
      .used = {1, usage.used().tokens(), usage.used().gigaflop(),
               FromProto(usage.used().core_time())}};
}

domain::JobCount FromProto(const v1::JobCount& count, const std::string& queue) {
  const v1::JobQuantities& used = count.used();
  return {queue,
          count.team(),
          {used.attempts(), used.tokens(), used.gigaflop(), FromProto(used.core_time())}};
}

absl::StatusOr<std::string> PriceBookId(std::string_view name) {
  if (name.empty()) return std::string();
  FLOE_ASSIGN_OR_RETURN(const auto ids, ParseResourceName(name, {"priceBooks"}));
  return ids[0];
}

std::string PriceBookName(std::string_view id) {
  return id.empty() ? "" : absl::StrCat("priceBooks/", AbslView(id));
}

}  // namespace floe::services::billing
