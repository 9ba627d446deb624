// Values on their way into and out of statements.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/money/money.h"

namespace pqxx {
class field;
}  // namespace pqxx

namespace floe::billing {

// timestamptz, to the microsecond.
std::string SqlTime(absl::Time time);
// From `(extract(epoch FROM t) * 1000000)::bigint`.
absl::Time TimeOf(const pqxx::field& micros);

// An array literal, for parameters cast by `$1::text[]` and the like.
std::string SqlArray(const std::vector<std::string>& values);

// One element of such a literal, quoted, behind `array`.
void AppendArrayElement(std::string_view value, std::string& array);

// From numeric, written as text.
absl::StatusOr<Money> MoneyOf(const pqxx::field& numeric);

// A request id as a parameter: nothing when there is none, since '' would be one.
const char* OrNull(const std::string& text);

// The lock that ingestion shares and that whoever needs a standing ledger takes alone.
extern const char kShareLedger[];
extern const char kHoldLedger[];

}  // namespace floe::billing
