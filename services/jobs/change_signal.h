// Wakes calls that wait for the queue, in this process.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "absl/time/time.h"

namespace floe::jobs {

// Thread-safe. Look at version(), then at the queue, then wait past that version: no change is
// missed.
class ChangeSignal {
 public:
  uint64_t version() const {
    std::lock_guard lock(mutex_);
    return version_;
  }
  void Notify() {
    {
      std::lock_guard lock(mutex_);
      ++version_;
    }
    changed_.notify_all();
  }
  // Returns when something changed after `seen`, when `timeout` has passed, or when it is closed.
  void WaitPast(uint64_t seen, absl::Duration timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                      [&] { return closed_ || version_ != seen; });
  }
  // From now on nobody waits.
  void Close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }
  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t version_ = 0;  // guarded by mutex_
  bool closed_ = false;   // guarded by mutex_
};

}  // namespace floe::jobs
