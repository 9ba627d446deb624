// From the scheduler's thread to the call's: events of one request, joined while nobody takes them.
#pragma once

#include <condition_variable>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>

#include "inference/scheduler/request.h"

namespace floe::inference {

// Thread-safe. Bounded by the request itself: it holds at most max_tokens ids.
class EventQueue {
 public:
  void Push(Event event) {
    {
      const std::lock_guard lock(mutex_);
      if (!pending_.has_value()) {
        pending_ = std::move(event);
      } else {
        Join(std::move(event));
      }
    }
    changed_.notify_one();
  }

  // Ends a Take, the present or the next one, though nothing has come.
  void Wake() {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    changed_.notify_one();
  }

  // What has come since the last call, as one event, once something has; nothing when woken.
  std::optional<Event> Take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return pending_.has_value() || woken_; });
    woken_ = false;
    return std::exchange(pending_, std::nullopt);
  }

 private:
  void Join(Event event) {
    pending_->ids.insert(pending_->ids.end(), event.ids.begin(), event.ids.end());
    pending_->text += event.text;
    pending_->cached_tokens += event.cached_tokens;
    pending_->logprobs.insert(pending_->logprobs.end(),
                              std::make_move_iterator(event.logprobs.begin()),
                              std::make_move_iterator(event.logprobs.end()));
    pending_->prompt_logprobs.insert(pending_->prompt_logprobs.end(),
                                     std::make_move_iterator(event.prompt_logprobs.begin()),
                                     std::make_move_iterator(event.prompt_logprobs.end()));
    if (!event.scores.empty()) pending_->scores = std::move(event.scores);
    if (!event.embedding.empty()) pending_->embedding = std::move(event.embedding);
    pending_->finish = std::move(event.finish);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Event> pending_;  // guarded by mutex_
  bool woken_ = false;            // guarded by mutex_
};

}  // namespace floe::inference
