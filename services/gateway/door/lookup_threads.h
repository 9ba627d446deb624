// A few threads for look-ups that block, so that gRPC's own threads never do.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace floe::gateway {

// Thread-safe. The destructor finishes what was posted.
class LookupThreads {
 public:
  LookupThreads(int threads, size_t max_waiting);
  ~LookupThreads();

  // False, and `work` is not run, when max_waiting wait already.
  [[nodiscard]] bool Post(std::function<void()> work);

 private:
  void Run();

  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> waiting_;  // guarded by mutex_
  bool ending_ = false;                        // guarded by mutex_
  std::vector<std::jthread> threads_;
};

}  // namespace floe::gateway
