// Why something was refused, as a constant that programs may compare: it rides on an absl::Status
// as a payload, and leaves a service as floe.common.v1.ErrorInfo.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace floe {

struct ErrorReason {
  std::string reason;                           // UPPER_SNAKE_CASE: MODEL_NOT_FOUND
  std::string domain;                           // who said so; empty: the service that answers
  std::map<std::string, std::string> metadata;  // what it is about; never a secret
};

// `status` with the reason on it, in place of one that it had; an OK status stays as it is.
absl::Status WithReason(absl::Status status, ErrorReason reason);
absl::Status WithReason(absl::Status status, std::string_view reason,
                        std::map<std::string, std::string> metadata = {});

// The reason that `status` carries, if it does.
std::optional<ErrorReason> ReasonOf(const absl::Status& status);

}  // namespace floe
