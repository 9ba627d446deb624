#include "gateway/ask.h"

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

}  // namespace floe::gateway
