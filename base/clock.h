// Time as something that is handed in, so that tests own it.
#pragma once

#include "absl/time/time.h"

namespace floe {

// Thread-safe. Now() is wall time (for records and leases shown to people); Monotonic() only ever
// grows and measures durations.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
  virtual absl::Duration Monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
};

}  // namespace floe
