#include "services/runtime/request_id.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace floe::runtime {

bool IsRequestId(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == ':';
         });
}

}  // namespace floe::runtime
