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

std::span<const uint32_t> IdsOf(const Request& request, size_t prompt) {
  const size_t begin = prompt == 0 ? 0 : request.prompt_ends[prompt - 1];
  return std::span(request.prompt_ids).subspan(begin, request.prompt_ends[prompt] - begin);
}

size_t PromptIndex(const Request& request, size_t answer) {
  return answer / static_cast<size_t>(request.ask.best_of);
}

}  // namespace floe::gateway
