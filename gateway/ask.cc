#include "gateway/ask.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace floe::gateway {

std::string_view TierName(ServiceTier tier) {
  switch (tier) {
    case ServiceTier::kFlex:
      return "flex";
    case ServiceTier::kPriority:
      return "priority";
    case ServiceTier::kDefault:
      break;
  }
  return "default";
}

bool IsDollarAmount(std::string_view text) {
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view part = point == std::string_view::npos ? "" : text.substr(point + 1);
  const auto digits = [](std::string_view digits_only) {
    return std::all_of(digits_only.begin(), digits_only.end(),
                       [](unsigned char c) { return absl::ascii_isdigit(c); });
  };
  return !whole.empty() && whole.size() <= 12 && part.size() <= 12 && digits(whole) &&
         digits(part) && (point == std::string_view::npos || !part.empty());
}

}  // namespace floe::gateway
