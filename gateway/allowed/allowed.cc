#include "gateway/allowed/allowed.h"

#include <algorithm>

namespace floe::gateway {

bool IsTierName(std::string_view name) {
  return std::find(kTierNames.begin(), kTierNames.end(), name) != kTierNames.end();
}

bool MatchesModel(std::span<const std::string> patterns, std::string_view reference) {
  return std::any_of(patterns.begin(), patterns.end(), [&](std::string_view pattern) {
    if (pattern.ends_with('*')) return reference.starts_with(pattern.substr(0, pattern.size() - 1));
    return reference == pattern;
  });
}

}  // namespace floe::gateway
