#include "gateway/policy/policy.h"

#include <algorithm>

#include "gateway/allowed/allowed.h"

namespace floe::gateway::policy {

bool TeamPolicy::AllowsModel(std::string_view reference) const {
  return MatchesModel(models, reference);
}

bool TeamPolicy::AllowsTier(std::string_view tier) const {
  return std::find(tiers.begin(), tiers.end(), tier) != tiers.end();
}

const TeamPolicy& Policy::For(const std::string& team) const {
  const auto found = teams_.find(team);
  return found == teams_.end() ? *defaults_ : *found->second;
}

}  // namespace floe::gateway::policy
