// Time that stands still until the test moves it.
#pragma once

#include <mutex>

#include "absl/time/time.h"

#include "base/clock.h"

namespace floe::test {

// Thread-safe. Starts at 2026-01-01T00:00:00Z unless told otherwise; Monotonic() starts at one
// hour.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time now = absl::FromUnixSeconds(1767225600)) : now_(now) {}

  absl::Time Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  absl::Duration Monotonic() const override {
    std::lock_guard lock(mutex_);
    return monotonic_;
  }
  void Advance(absl::Duration by) {
    std::lock_guard lock(mutex_);
    now_ += by;
    monotonic_ += by;
  }

 private:
  mutable std::mutex mutex_;
  absl::Time now_;                             // guarded by mutex_
  absl::Duration monotonic_ = absl::Hours(1);  // guarded by mutex_
};

}  // namespace floe::test
