#include "gateway/generation.h"

namespace floe::gateway {

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kContentFilter:
      break;
  }
  return "content_filter";
}

}  // namespace floe::gateway
