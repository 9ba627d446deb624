#include "billing/postgres/sql_values.h"

#include <pqxx/pqxx>

namespace floe::billing {

const char kShareLedger[] =
    "SELECT pg_advisory_xact_lock_shared(hashtextextended('floe.billing.ledger', 0))";
const char kHoldLedger[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('floe.billing.ledger', 0))";

std::string SqlTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%E6S+00", time, absl::UTCTimeZone());
}

absl::Time TimeOf(const pqxx::field& micros) { return absl::FromUnixMicros(micros.as<int64_t>()); }

void AppendArrayElement(std::string_view value, std::string& array) {
  array.push_back('"');
  for (const char c : value) {
    if (c == '"' || c == '\\') array.push_back('\\');
    array.push_back(c);
  }
  array.push_back('"');
}

std::string SqlArray(const std::vector<std::string>& values) {
  std::string literal = "{";
  for (const std::string& value : values) {
    if (literal.size() > 1) literal.push_back(',');
    AppendArrayElement(value, literal);
  }
  literal.push_back('}');
  return literal;
}

absl::StatusOr<Money> MoneyOf(const pqxx::field& numeric) { return Money::Parse(numeric.c_str()); }

const char* OrNull(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

}  // namespace floe::billing
