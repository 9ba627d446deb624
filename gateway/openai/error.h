// A Status as OpenAI's clients expect it: {"error": {message, type, param, code}}. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace floe::gateway::openai {

struct ErrorAnswer {
  int http_status = 500;
  std::string body;  // the JSON object
  std::optional<int> retry_after_seconds;
  std::string code;  // as in the body: for metrics and logs
};

// `code` is the status's reason in lower case, `param` its metadata entry of that name; the entries
// `http_status` and `retry_after_seconds` say these more exactly than the status's code. What went
// wrong inside (INTERNAL, UNKNOWN, DATA_LOSS) is not told to clients: they get `request_id` to ask
// with, and of DATA_LOSS that it is one.
ErrorAnswer ToErrorAnswer(const absl::Status& status, std::string_view request_id);

}  // namespace floe::gateway::openai
