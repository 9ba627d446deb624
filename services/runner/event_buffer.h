// Events on their way from the work to the service: they wait here while it is away.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "jobs/job.h"
#include "services/runner/executor.h"

namespace floe::runner {

// Thread-safe; nothing here waits. Events leave in the order in which they came and stay until they
// are acknowledged. A number is given when an event is first sent and never changes, so that the
// service recognises what it got twice.
//
// When the buffer is full, the oldest progress that was not sent yet makes room (a newer one says
// more), or else the oldest line that was not sent; lost lines are counted and said as one warning
// when there is room again.
class EventBuffer final : public Reporter {
 public:
  struct Options {
    int attempt = 1;
    int64_t last_sequence = 0;  // numbering begins behind it
    size_t capacity = 4096;
    size_t max_text = 16 << 10;      // bytes of a line; longer ones are cut
    std::function<void()> on_event;  // after each event, on the thread that brought it
  };

  // Borrows `clock`.
  EventBuffer(const Clock& clock, Options options);

  void Progress(jobs::Progress progress) override;
  void Log(std::string_view level, std::string_view text) override;
  void Used(int64_t tokens, double flops) override;

  // All that was told to Used() so far; without the core time, which is not the work's to know.
  jobs::Usage used() const;

  // The oldest events, at most `limit`, numbered. Until they are acknowledged they come again.
  std::vector<jobs::Event> Batch(size_t limit);

  // Everything up to `sequence` is stored.
  void Acknowledge(int64_t sequence);

  // The service refused the numbered events for good: they are given up, and counted as lost.
  void DropNumbered();

  size_t waiting() const;

 private:
  void Add(std::variant<jobs::Progress, jobs::LogLine, jobs::State> what);
  void AddLocked(std::variant<jobs::Progress, jobs::LogLine, jobs::State> what);
  void MakeRoom();
  void SayLost();

  const Clock& clock_;
  const Options options_;
  mutable std::mutex mutex_;
  std::deque<jobs::Event> events_;  // guarded by mutex_; the first `numbered_` have a sequence
  size_t numbered_ = 0;             // guarded by mutex_
  int64_t last_sequence_;           // guarded by mutex_: given so far
  int64_t lost_ = 0;                // guarded by mutex_: lines not said yet
  int64_t tokens_ = 0;              // guarded by mutex_
  double flops_ = 0;                // guarded by mutex_
};

}  // namespace floe::runner
