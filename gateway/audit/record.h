// What is kept about each request: one JSON object a line, in the stream of logs that is marked
// `"log": "audit"`. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/time/time.h"

#include "gateway/request.h"

namespace floe::gateway {

// How the request ended.
struct AuditOutcome {
  int status = 0;         // HTTP's; 499 for a client that left
  std::string_view code;  // of the error; empty when there was none
  absl::Time ended;
  absl::Duration took;
};

// Who asked for what, under which policy, what came of it and how long it took; of texts only what
// a rule is called, unless the policy says `audit_text`: then the prompt as it was after masking
// (none when it was blocked or not yet looked through) and the answer as it left, with the tools
// that were offered and the calls of them on both sides. Never a key.
std::string AuditLine(const Request& request, const AuditOutcome& outcome);

}  // namespace floe::gateway
