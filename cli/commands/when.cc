#include "cli/commands/when.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace floe::cli {
namespace {

constexpr int64_t kMostDays = 100 * 366;

bool ReadTime(const std::string& text, absl::Time& time) {
  return absl::ParseTime("%Y-%m-%d", text, &time, nullptr) ||
         absl::ParseTime(absl::RFC3339_full, text, &time, nullptr);
}

bool ReadDuration(const std::string& text, absl::Duration& duration) {
  int64_t days = 0;
  if (text.ends_with('d') && absl::SimpleAtoi(text.substr(0, text.size() - 1), &days)) {
    duration = absl::Hours(24 * std::min(days, kMostDays + 1));
  } else if (!absl::ParseDuration(text, &duration)) {
    return false;
  }
  return duration > absl::ZeroDuration() && duration <= absl::Hours(24 * kMostDays);
}

}  // namespace

absl::StatusOr<absl::Time> ParseWhen(const std::string& text) {
  absl::Time time;
  if (ReadTime(text, time)) return time;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is no time; write 2026-11-24 or 2026-11-24T12:00:00Z"));
}

absl::StatusOr<absl::Time> ParseWhenOrAfter(const std::string& text, absl::Time now) {
  absl::Time time;
  if (ReadTime(text, time)) return time;
  absl::Duration duration;
  if (ReadDuration(text, duration)) return now + duration;
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", text, "\" is no time; write 30d, 12h, 2027-01-01 or 2027-01-01T00:00:00Z"));
}

}  // namespace floe::cli
