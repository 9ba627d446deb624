// Usage events as rows.
#pragma once

#include <array>
#include <string>

#include "absl/status/statusor.h"

#include "billing/usage_event.h"

namespace pqxx {
class row;
}  // namespace pqxx

namespace floe::billing {

// The columns of an event and its charge that UsageFields fills, in its order; for statements.
#define FLOE_USAGE_COLUMNS                                                                \
  "usage_id, fingerprint, occurred_at, tenant, team, key_id, gateway, operation, model, " \
  "model_version, checkpoint_digest, tier, served_tier, price_book, policy_version, "     \
  "input_tokens, cached_input_tokens, output_tokens, cached_output_tokens, calls, "       \
  "arrived_tokens, cache_hit, outcome, workflow_id, parent_id, step, tags, request_id, "  \
  "trace_id, queue_us, first_token_us, total_us, slices, line_kind, line_quantity, "      \
  "line_price, line_amount, line_cost, charge, credit, receipts"

// What ReadUsage needs selected.
#define FLOE_USAGE_SELECT                                                                       \
  "usage_id, fingerprint, (extract(epoch FROM occurred_at) * 1000000)::bigint AS occurred_us, " \
  "(extract(epoch FROM received_at) * 1000000)::bigint AS received_us, tenant, team, key_id, "  \
  "gateway, operation, model, model_version, checkpoint_digest, tier, served_tier, "            \
  "price_book, policy_version, input_tokens, cached_input_tokens, output_tokens, "              \
  "cached_output_tokens, calls, arrived_tokens, cache_hit, outcome, workflow_id, parent_id, "   \
  "step, tags::text AS tags, request_id, trace_id, queue_us, first_token_us, total_us, "        \
  "array_to_string(slices, E'\\n') AS slices, array_to_string(line_kind, ',') AS line_kind, "   \
  "array_to_string(line_quantity, ',') AS line_quantity, "                                      \
  "array_to_string(line_price, ',') AS line_price, "                                            \
  "array_to_string(line_amount, ',') AS line_amount, "                                          \
  "array_to_string(line_cost, ',') AS line_cost, charge::text AS charge, "                      \
  "credit::text AS credit, array_to_string(receipts, E'\\n') AS receipts"

// How many columns those are, and `reason` of parked_usage behind them.
inline constexpr size_t kUsageFields = 42;
std::array<std::string, kUsageFields> UsageFields(const RatedEvent& rated);
// INTERNAL when a row holds what no program of this version writes.
absl::StatusOr<RatedEvent> ReadUsage(const pqxx::row& row);

}  // namespace floe::billing
