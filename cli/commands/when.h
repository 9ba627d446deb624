// Moments as people write them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace floe::cli {

// "2026-11-24" (midnight UTC) or RFC 3339.
absl::StatusOr<absl::Time> ParseWhen(const std::string& text);

// The same, or how long from `now`: "30d", "12h", "90m".
absl::StatusOr<absl::Time> ParseWhenOrAfter(const std::string& text, absl::Time now);

}  // namespace floe::cli
