#include "services/runtime/call_watch.h"

#include <chrono>
#include <utility>

namespace floe::runtime {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds kAgain(1);

}  // namespace

struct CallWatch::Waiting {
  std::mutex mutex;
  std::function<bool()> is_over;  // guarded by mutex; null when the call has gone
  std::function<void()> wake;     // guarded by mutex
  SteadyTime next_look;           // of the watch's thread alone
};

CallWatch::Watched::Watched(CallWatch& watch, std::shared_ptr<Waiting> waiting)
    : watch_(watch), waiting_(std::move(waiting)) {}

CallWatch::Watched::~Watched() {
  {
    const std::lock_guard lock(watch_.mutex_);
    watch_.all_.erase(waiting_);
  }
  const std::lock_guard lock(waiting_->mutex);
  waiting_->is_over = nullptr;
}

CallWatch::CallWatch(absl::Duration period) : period_(period), thread_([this] { Run(); }) {}

CallWatch::~CallWatch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  some_.notify_one();
  ending_changed_.notify_one();
  thread_.join();
}

CallWatch::Watched CallWatch::Watch(std::function<bool()> is_over, std::function<void()> wake) {
  auto waiting = std::make_shared<Waiting>();
  waiting->is_over = std::move(is_over);
  waiting->wake = std::move(wake);
  {
    const std::lock_guard lock(mutex_);
    all_.insert(waiting);
  }
  some_.notify_one();
  return Watched(*this, std::move(waiting));
}

void CallWatch::Run() {
  std::vector<std::shared_ptr<Waiting>> round;
  std::unique_lock lock(mutex_);
  while (true) {
    some_.wait(lock, [this] { return ending_ || !all_.empty(); });
    ending_changed_.wait_for(lock, absl::ToChronoNanoseconds(period_), [this] { return ending_; });
    if (ending_) return;
    round.assign(all_.begin(), all_.end());
    // Without the lock, so that nobody who comes or goes waits for a whole round.
    lock.unlock();
    for (const auto& waiting : round) LookAt(*waiting);
    round.clear();
    lock.lock();
  }
}

void CallWatch::LookAt(Waiting& waiting) {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now < waiting.next_look) return;
  const std::lock_guard lock(waiting.mutex);
  if (!waiting.is_over || !waiting.is_over()) return;
  waiting.wake();
  waiting.next_look = now + kAgain;
}

}  // namespace floe::runtime
