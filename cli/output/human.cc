#include "cli/output/human.h"

#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace floe::cli {

std::string HumanBytes(int64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  // What would round to 1024 is 1 of the next unit.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return absl::StrCat(bytes, " B");
  return absl::StrFormat(value < 99.95 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
}

std::string HumanCount(int64_t count) {
  const std::string digits = absl::StrCat(count < 0 ? -count : count);
  std::string text = count < 0 ? "-" : "";
  for (size_t at = 0; at < digits.size(); ++at) {
    if (at > 0 && (digits.size() - at) % 3 == 0) text += ',';
    text += digits[at];
  }
  return text;
}

std::string HumanQuantity(double quantity) {
  constexpr std::array kUnits = {"", "k", "M", "B", "T"};
  size_t unit = 0;
  while (std::abs(quantity) >= 999.5 && unit + 1 < kUnits.size()) {
    quantity /= 1000;
    ++unit;
  }
  const int places = unit == 0 ? 0 : std::abs(quantity) < 9.995 ? 2 : std::abs(quantity) < 99.95;
  return absl::StrFormat("%.*f%s", places, quantity, kUnits[unit]);
}

std::string HumanFlops(double operations) {
  constexpr std::array kUnits = {"", "k", "M", "G", "T", "P", "E", "Z", "Y"};
  size_t unit = 0;
  while (operations >= 999.5 && unit + 1 < kUnits.size()) {
    operations /= 1000;
    ++unit;
  }
  return absl::StrFormat("%.*f %sFLOP", unit == 0 ? 0 : 2, operations, kUnits[unit]);
}

std::string HumanDuration(absl::Duration duration) {
  if (duration < absl::Seconds(1)) {
    return absl::StrCat(absl::ToInt64Milliseconds(duration), " ms");
  }
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds < 60) return absl::StrCat(seconds, " s");
  if (seconds < 3600) return absl::StrFormat("%d min %02d s", seconds / 60, seconds % 60);
  if (seconds < 86400) return absl::StrFormat("%d h %02d min", seconds / 3600, seconds / 60 % 60);
  return absl::StrFormat("%d d %d h", seconds / 86400, seconds / 3600 % 24);
}

std::string HumanTime(absl::Time time, absl::TimeZone zone) {
  if (time <= absl::UnixEpoch()) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, zone);
}

std::string ShortDigest(std::string_view digest) {
  return digest.empty() ? "-" : std::string(digest.substr(0, 12));
}

std::string LastId(std::string_view resource_name) {
  return std::string(resource_name.substr(resource_name.rfind('/') + 1));
}

}  // namespace floe::cli
