// Looks on behalf of calls that wait, so that none of them has to wake up to look for itself: the
// synchronous methods of gRPC are told of nothing when their client leaves.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include "absl/time/time.h"

namespace floe::runtime {

// One thread, asleep while nobody waits. A round costs what the looks cost: a look at a gRPC
// context is some microseconds of system time. Thread-safe; outlives what it watches.
class CallWatch {
  struct Waiting;

 public:
  explicit CallWatch(absl::Duration period = absl::Milliseconds(20));
  ~CallWatch();
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

  // While it exists its call is looked at. When it has gone nothing of the call is touched any
  // more, so its destructor may wait for a look or a wake that is under way.
  class Watched {
   public:
    ~Watched();
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

   private:
    friend class CallWatch;
    Watched(CallWatch& watch, std::shared_ptr<Waiting> waiting);
    CallWatch& watch_;
    const std::shared_ptr<Waiting> waiting_;  // shared with a round that is under way
  };

  // `is_over` is asked once a period. When it says yes `wake` is called, and again every second if
  // the call has not gone. Both on the watch's thread: short, and they must not take a lock under
  // which a Watched is made or destroyed.
  [[nodiscard]] Watched Watch(std::function<bool()> is_over, std::function<void()> wake);

 private:
  void Run();
  static void LookAt(Waiting& waiting);

  const absl::Duration period_;
  std::mutex mutex_;
  std::condition_variable some_, ending_changed_;
  std::unordered_set<std::shared_ptr<Waiting>> all_;  // guarded by mutex_
  bool ending_ = false;                               // guarded by mutex_
  std::thread thread_;
};

}  // namespace floe::runtime
