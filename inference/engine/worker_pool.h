// Threads that share out the pieces of one loop at a time. The engine owns one.
//
// Pieces are claimed, not dealt out: a thread that the machine holds up delays no one but itself.
// What a piece computes must not depend on who computes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace floe::inference {

class WorkerPool {
 public:
  // `num_threads` counts the caller of Run: 1 makes no thread. Throws
  // std::system_error when the machine gives no more of them.
  explicit WorkerPool(int num_threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int num_threads() const { return static_cast<int>(threads_.size()) + 1; }

  // Calls body(piece, thread) for every piece in [0, pieces), thread in [0, num_threads), and
  // returns when all are done. One caller at a time; pieces < 2^20. Pieces must not call Run.
  void Run(int64_t pieces, const std::function<void(int64_t piece, int thread)>& body);

 private:
  void Work(int thread);
  void Stop();
  bool RunOne(int thread);

  std::vector<std::thread> threads_;
  // Loop number (24 bits), pieces (20), next piece (20): claimed by compare-and-swap, so that a
  // thread that comes late can never take a piece of a loop that it has not seen.
  std::atomic<uint64_t> claim_{0};
  std::atomic<const std::function<void(int64_t, int)>*> body_{nullptr};
  std::atomic<int64_t> done_{0};
  std::atomic<uint32_t> wake_{0};
  std::atomic<bool> stopping_{false};
};

}  // namespace floe::inference
