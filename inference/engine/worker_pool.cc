#include "inference/engine/worker_pool.h"

namespace floe::inference {
namespace {

constexpr int kIndexBits = 20;
constexpr uint64_t kIndexMask = (uint64_t{1} << kIndexBits) - 1;
// A step has a parallel loop every few microseconds; sleeping and waking costs more than that. The
// spin is short, so that an idle engine costs nothing.
constexpr int kSpins = 4000;

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

WorkerPool::WorkerPool(int num_threads) {
  try {
    for (int i = 1; i < num_threads; ++i) threads_.emplace_back([this, i] { Work(i); });
  } catch (...) {  // the machine gives no more of them
    Stop();
    throw;
  }
}

WorkerPool::~WorkerPool() { Stop(); }

void WorkerPool::Stop() {
  stopping_ = true;
  ++wake_;
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Run(int64_t pieces, const std::function<void(int64_t, int)>& body) {
  if (threads_.empty() || pieces <= 1) {
    for (int64_t i = 0; i < pieces; ++i) body(i, 0);
    return;
  }
  done_.store(0, std::memory_order_relaxed);
  body_.store(&body, std::memory_order_relaxed);
  const uint64_t loop = (claim_.load(std::memory_order_relaxed) >> (2 * kIndexBits)) + 1;
  claim_.store((loop << (2 * kIndexBits)) | (static_cast<uint64_t>(pieces) << kIndexBits));
  ++wake_;
  wake_.notify_all();
  while (RunOne(0)) {
  }
  for (int spins = 0; done_.load(std::memory_order_acquire) != pieces; ++spins) {
    if (spins < kSpins) {
      Pause();
    } else {
      std::this_thread::yield();
    }
  }
}

bool WorkerPool::RunOne(int thread) {
  uint64_t state = claim_.load(std::memory_order_acquire);
  while (true) {
    const uint64_t next = state & kIndexMask;
    if (next >= ((state >> kIndexBits) & kIndexMask)) return false;
    // Read before the claim: a claim that succeeds proves that the loop, and so its body, still
    // lives.
    const auto* body = body_.load(std::memory_order_relaxed);
    if (claim_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) {
      (*body)(static_cast<int64_t>(next), thread);
      done_.fetch_add(1, std::memory_order_release);
      return true;
    }
  }
}

void WorkerPool::Work(int thread) {
  uint32_t seen = wake_.load();
  while (!stopping_) {
    while (RunOne(thread)) {
    }
    for (int i = 0; i < kSpins && wake_.load(std::memory_order_relaxed) == seen; ++i) Pause();
    wake_.wait(seen);
    seen = wake_.load();
  }
}

}  // namespace floe::inference
