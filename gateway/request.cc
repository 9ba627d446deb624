#include "gateway/request.h"

namespace floe::gateway {

std::string_view CacheUseName(CacheUse use) {
  switch (use) {
    case CacheUse::kHit:
      return "hit";
    case CacheUse::kMiss:
      return "miss";
    case CacheUse::kOff:
      break;
  }
  return "off";
}

}  // namespace floe::gateway
