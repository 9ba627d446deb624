#include "gateway/policy/policy.h"

#include <algorithm>

namespace floe::gateway::policy {

bool TeamPolicy::AllowsModel(std::string_view reference) const {
  return std::any_of(models.begin(), models.end(), [&](std::string_view pattern) {
    if (!pattern.empty() && pattern.back() == '*') {
      return reference.starts_with(pattern.substr(0, pattern.size() - 1));
    }
    return reference == pattern;
  });
}

bool TeamPolicy::AllowsTier(std::string_view tier) const {
  return std::find(tiers.begin(), tiers.end(), tier) != tiers.end();
}

const TeamPolicy& Policy::For(const std::string& team) const {
  const auto found = teams_.find(team);
  return found == teams_.end() ? *defaults_ : *found->second;
}

}  // namespace floe::gateway::policy
