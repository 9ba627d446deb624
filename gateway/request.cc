#include "gateway/request.h"

namespace floe::gateway {

std::string_view DirectionName(Direction direction) {
  switch (direction) {
    case Direction::kInput:
      return "input";
    case Direction::kRetrieved:
      return "retrieved";
    case Direction::kOutput:
      break;
  }
  return "output";
}

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
