#include "billing/postgres/usage_rows.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include <pqxx/pqxx>

#include "base/status_macros.h"
#include "base/view.h"
#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

std::string Text(const pqxx::row& row, const char* column) { return row[column].c_str(); }
int64_t Count(const pqxx::row& row, const char* column) { return row[column].as<int64_t>(); }

std::string TagsJson(const std::map<std::string, std::string>& tags) {
  if (tags.empty()) return "{}";
  return nlohmann::json(tags).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<std::string> Split(const pqxx::row& row, const char* column, char separator) {
  const std::string text = Text(row, column);
  if (text.empty()) return {};
  return absl::StrSplit(text, separator);
}

absl::Status ReadLines(const pqxx::row& row, Charge& charge) {
  const auto kinds = Split(row, "line_kind", ',');
  const auto quantities = Split(row, "line_quantity", ',');
  const auto prices = Split(row, "line_price", ',');
  const auto amounts = Split(row, "line_amount", ',');
  const auto costs = Split(row, "line_cost", ',');
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (i >= quantities.size() || i >= prices.size() || i >= amounts.size() || i >= costs.size()) {
      return absl::InternalError("a usage event's charge lines are of unequal length");
    }
    ChargeLine line;
    FLOE_ASSIGN_OR_RETURN(line.kind, ParseKind(kinds[i]));
    FLOE_ASSIGN_OR_RETURN(line.unit_price, Money::Parse(prices[i]));
    FLOE_ASSIGN_OR_RETURN(line.amount, Money::Parse(amounts[i]));
    FLOE_ASSIGN_OR_RETURN(line.cost, Money::Parse(costs[i]));
    if (!absl::SimpleAtoi(quantities[i], &line.quantity)) {
      return absl::InternalError("a usage event's quantity is no number");
    }
    FLOE_ASSIGN_OR_RETURN(charge.cost, Add(charge.cost, line.cost));
    charge.lines.push_back(line);
  }
  return absl::OkStatus();
}

// Kinds, quantities, prices, amounts and costs as array literals.
std::array<std::string, 5> LineArrays(const Charge& charge) {
  std::array<std::string, 5> arrays = {"{", "{", "{", "{", "{"};
  for (const ChargeLine& line : charge.lines) {
    const char* comma = arrays[0].size() > 1 ? "," : "";
    absl::StrAppend(&arrays[0], comma, AbslView(Name(line.kind)));
    absl::StrAppend(&arrays[1], comma, line.quantity);
    absl::StrAppend(&arrays[2], comma, line.unit_price.ToString());
    absl::StrAppend(&arrays[3], comma, line.amount.ToString());
    absl::StrAppend(&arrays[4], comma, line.cost.ToString());
  }
  for (std::string& array : arrays) array.push_back('}');
  return arrays;
}

void ReadTexts(const pqxx::row& row, UsageEvent& event) {
  event.usage_id = Text(row, "usage_id");
  event.tenant = Text(row, "tenant");
  event.team = Text(row, "team");
  event.key = Text(row, "key_id");
  event.gateway = Text(row, "gateway");
  event.usage.model = Text(row, "model");
  event.model_version = Text(row, "model_version");
  event.checkpoint_digest = Text(row, "checkpoint_digest");
  event.price_book = Text(row, "price_book");
  event.policy_version = Text(row, "policy_version");
  event.workflow_id = Text(row, "workflow_id");
  event.parent_id = Text(row, "parent_id");
  event.step = Text(row, "step");
  event.request_id = Text(row, "request_id");
  event.trace_id = Text(row, "trace_id");
  event.receipts = Split(row, "receipts", '\n');
  event.slices = Split(row, "slices", '\n');
}

void ReadNumbers(const pqxx::row& row, UsageEvent& event) {
  event.time = TimeOf(row["occurred_us"]);
  event.usage.quantities = {.input_tokens = Count(row, "input_tokens"),
                            .cached_input_tokens = Count(row, "cached_input_tokens"),
                            .output_tokens = Count(row, "output_tokens"),
                            .cached_output_tokens = Count(row, "cached_output_tokens"),
                            .calls = Count(row, "calls")};
  event.arrived_tokens = Count(row, "arrived_tokens");
  event.cache_hit = row["cache_hit"].as<bool>();
  event.queue_time = absl::Microseconds(Count(row, "queue_us"));
  event.time_to_first_token = absl::Microseconds(Count(row, "first_token_us"));
  event.total_time = absl::Microseconds(Count(row, "total_us"));
}

}  // namespace

std::array<std::string, kUsageFields> UsageFields(const RatedEvent& rated) {
  const UsageEvent& e = rated.event;
  const Quantities& q = e.usage.quantities;
  std::array<std::string, kUsageFields> fields;
  size_t at = 0;
  const auto add = [&](std::string text) { fields[at++] = std::move(text); };
  const auto add_all = [&](std::initializer_list<std::string_view> texts) {
    for (const std::string_view text : texts) add(std::string(text));
  };
  add(e.usage_id);
  add(absl::StrCat(rated.fingerprint));
  add(SqlTime(e.time));
  add_all({e.tenant, e.team, e.key, e.gateway, Name(e.usage.operation), e.usage.model,
           e.model_version, e.checkpoint_digest, Name(e.usage.tier), Name(e.served_tier),
           e.price_book, e.policy_version});
  for (const int64_t count : {q.input_tokens, q.cached_input_tokens, q.output_tokens,
                              q.cached_output_tokens, q.calls, e.arrived_tokens}) {
    add(absl::StrCat(count));
  }
  add_all({e.cache_hit ? "t" : "f", Name(e.outcome), e.workflow_id, e.parent_id, e.step});
  add(TagsJson(e.tags));
  add_all({e.request_id, e.trace_id});
  for (const absl::Duration time : {e.queue_time, e.time_to_first_token, e.total_time}) {
    add(absl::StrCat(absl::ToInt64Microseconds(time)));
  }
  add(SqlArray(e.slices));
  for (std::string& array : LineArrays(rated.charge)) add(std::move(array));
  add(rated.charge.total.ToString());
  add(rated.credit.ToString());
  add(SqlArray(e.receipts));
  add(rated.parked_reason);
  return fields;
}

absl::StatusOr<RatedEvent> ReadUsage(const pqxx::row& row) {
  RatedEvent rated{.fingerprint = Count(row, "fingerprint")};
  UsageEvent& event = rated.event;
  ReadTexts(row, event);
  ReadNumbers(row, event);
  FLOE_ASSIGN_OR_RETURN(event.usage.operation, ParseOperation(Text(row, "operation")));
  FLOE_ASSIGN_OR_RETURN(event.usage.tier, ParseTier(Text(row, "tier")));
  FLOE_ASSIGN_OR_RETURN(event.served_tier, ParseTier(Text(row, "served_tier")));
  FLOE_ASSIGN_OR_RETURN(event.outcome, ParseOutcome(Text(row, "outcome")));
  const auto tags = nlohmann::json::parse(Text(row, "tags"), nullptr, false);
  if (!tags.is_object()) return absl::InternalError("a usage event's tags are no JSON object");
  for (const auto& [key, value] : tags.items()) {
    if (value.is_string()) event.tags[key] = value.get<std::string>();
  }
  FLOE_RETURN_IF_ERROR(ReadLines(row, rated.charge));
  FLOE_ASSIGN_OR_RETURN(rated.charge.total, MoneyOf(row["charge"]));
  FLOE_ASSIGN_OR_RETURN(rated.credit, MoneyOf(row["credit"]));
  return rated;
}

}  // namespace floe::billing
