// Sums over usage, grouped as asked.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/money/money.h"

namespace floe::billing {

// From `start` on, before `end`.
struct Interval {
  absl::Time start;
  absl::Time end;
};

// The columns that a report can be grouped by and filtered on; `tag:<key>` besides.
inline constexpr std::array<std::string_view, 10> kDimensions = {
    "tenant", "team", "key",       "model",    "version",
    "tier",   "day",  "operation", "workflow", "token_kind"};

struct ReportQuery {
  Interval interval;
  std::vector<std::string> group_by;
  std::map<std::string, std::string> filter;  // dimension -> value
  int64_t limit = 1000;
  int64_t offset = 0;

  // INVALID_ARGUMENT names an unknown or repeated dimension; one tag at most.
  absl::Status Check() const;
  // The key of the one `tag:` dimension; empty without one. Valid after Check().
  std::string TagKey() const;
};

struct ReportRow {
  std::vector<std::string> group;  // in the order of group_by
  int64_t requests = 0;
  int64_t cache_hits = 0;
  int64_t input_tokens = 0;
  int64_t cached_input_tokens = 0;
  int64_t output_tokens = 0;
  int64_t calls = 0;
  Money charge;
  Money credit;
  Money net;
};

struct Report {
  std::vector<ReportRow> rows;
  ReportRow total;  // of all rows, also those beyond `limit`
  bool more = false;
};

// One field of a CSV line, quoted where RFC 4180 asks for it. Text that a spreadsheet would take
// for a formula is kept as text by a leading apostrophe.
std::string CsvField(std::string_view text);
std::string CsvLine(const std::vector<std::string>& fields);

// Header and rows; money in dollars, exact.
std::string ReportCsv(const std::vector<std::string>& group_by, const std::vector<ReportRow>& rows);

// "2026-11" and back; INVALID_ARGUMENT says the form.
absl::StatusOr<absl::CivilMonth> ParseMonth(std::string_view text);
std::string WriteMonth(absl::CivilMonth month);
Interval IntervalOf(absl::CivilMonth month);  // in UTC

}  // namespace floe::billing
