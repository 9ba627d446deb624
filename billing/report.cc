#include "billing/report.h"

#include <algorithm>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::billing {
namespace {

constexpr std::string_view kTag = "tag:";

bool IsDimension(std::string_view name) {
  return std::find(kDimensions.begin(), kDimensions.end(), name) != kDimensions.end() ||
         (name.starts_with(kTag) && name.size() > kTag.size());
}

absl::Status CheckDimension(std::string_view name) {
  if (IsDimension(name)) return absl::OkStatus();
  const auto append = [](std::string* out, std::string_view text) { out->append(text); };
  return absl::InvalidArgumentError(
      absl::StrCat("\"", AbslView(name.substr(0, 50)), "\" is no column of a report; use ",
                   absl::StrJoin(kDimensions, ", ", append), " or tag:<key>"));
}

}  // namespace

absl::Status ReportQuery::Check() const {
  std::set<std::string_view> seen, tags;
  for (const std::string& name : group_by) {
    FLOE_RETURN_IF_ERROR(CheckDimension(name));
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("group_by names ", name, " twice"));
    }
    if (name.starts_with(kTag)) tags.insert(name);
  }
  for (const auto& [name, value] : filter) {
    FLOE_RETURN_IF_ERROR(CheckDimension(name));
    if (name.starts_with(kTag)) tags.insert(name);
  }
  if (tags.size() > 1) return absl::InvalidArgumentError("a report takes one tag: column at most");
  if (interval.start >= interval.end) {
    return absl::InvalidArgumentError("the interval's start must lie before its end");
  }
  return absl::OkStatus();
}

std::string ReportQuery::TagKey() const {
  for (const std::string& name : group_by) {
    if (name.starts_with(kTag)) return name.substr(kTag.size());
  }
  for (const auto& [name, value] : filter) {
    if (name.starts_with(kTag)) return name.substr(kTag.size());
  }
  return "";
}

std::string CsvField(std::string_view text) {
  std::string field(text);
  if (!field.empty() && std::string_view("=@\t\r").find(field[0]) != std::string_view::npos) {
    field.insert(0, 1, '\'');
  } else if (field.size() > 1 && (field[0] == '+' || field[0] == '-') &&
             field.find_first_not_of("0123456789.", 1) != std::string::npos) {
    field.insert(0, 1, '\'');  // not a number
  }
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string quoted = "\"";
  for (const char c : field) {
    if (c == '"') quoted.push_back('"');
    quoted.push_back(c);
  }
  return quoted + "\"";
}

std::string CsvLine(const std::vector<std::string>& fields) {
  return absl::StrCat(absl::StrJoin(fields, ",",
                                    [](std::string* out, const std::string& field) {
                                      out->append(CsvField(field));
                                    }),
                      "\r\n");
}

std::string ReportCsv(const std::vector<std::string>& group_by,
                      const std::vector<ReportRow>& rows) {
  std::vector<std::string> header = group_by;
  for (const char* name : {"requests", "cache_hits", "input_tokens", "cached_input_tokens",
                           "output_tokens", "calls", "charge", "credit", "net"}) {
    header.emplace_back(name);
  }
  std::string csv = CsvLine(header);
  for (const ReportRow& row : rows) {
    std::vector<std::string> fields = row.group;
    for (const int64_t count : {row.requests, row.cache_hits, row.input_tokens,
                                row.cached_input_tokens, row.output_tokens, row.calls}) {
      fields.push_back(absl::StrCat(count));
    }
    for (const Money amount : {row.charge, row.credit, row.net}) {
      fields.push_back(amount.ToDollars());
    }
    csv += CsvLine(fields);
  }
  return csv;
}

absl::StatusOr<absl::CivilMonth> ParseMonth(std::string_view text) {
  int year = 0, month = 0;
  const bool digits = text.find_first_not_of("0123456789-") == std::string_view::npos;
  if (digits && text.size() == 7 && text[4] == '-' &&
      absl::SimpleAtoi(AbslView(text.substr(0, 4)), &year) &&
      absl::SimpleAtoi(AbslView(text.substr(5)), &month) && year >= 1970 && month >= 1 &&
      month <= 12) {
    return absl::CivilMonth(year, month);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", AbslView(text.substr(0, 50)), "\" is no month; write it as 2026-11"));
}

std::string WriteMonth(absl::CivilMonth month) {
  return absl::StrFormat("%04d-%02d", month.year(), month.month());
}

Interval IntervalOf(absl::CivilMonth month) {
  return {absl::FromCivil(month, absl::UTCTimeZone()),
          absl::FromCivil(month + 1, absl::UTCTimeZone())};
}

}  // namespace floe::billing
