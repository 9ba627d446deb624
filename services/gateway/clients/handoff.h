// From other threads (gRPC's, a pool's) back into a coroutine: values one at a time, and calls that
// stop when nobody waits for them any more.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace floe::gateway {

// Owned by the coroutine that takes, and used on its executor (a strand). What gives is handed a
// Giver, which may outlive this object and the executor: giving to nobody does nothing.
template <typename T>
class Handoff {
  struct State {
    std::mutex mutex;
    std::optional<T> value;                      // guarded by mutex
    boost::asio::steady_timer* waker = nullptr;  // guarded by mutex; null: nobody waits any more
  };

 public:
  // Thread-safe and copyable.
  class Giver {
   public:
    void operator()(T value) const {
      const std::lock_guard lock(state_->mutex);
      if (state_->waker == nullptr) return;
      state_->value = std::move(value);
      boost::asio::post(state_->waker->get_executor(), [state = state_] {
        const std::lock_guard lock(state->mutex);
        if (state->waker != nullptr) state->waker->cancel();
      });
    }

   private:
    friend class Handoff;
    explicit Giver(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;  // shared with the Handoff
  };

  explicit Handoff(const boost::asio::any_io_executor& executor)
      : waker_(executor, boost::asio::steady_timer::time_point::max()) {
    state_->waker = &waker_;
  }
  Handoff(const Handoff&) = delete;
  Handoff& operator=(const Handoff&) = delete;
  ~Handoff() {
    const std::lock_guard lock(state_->mutex);
    state_->waker = nullptr;
  }

  Giver giver() const { return Giver(state_); }

  // The next value given. Throws operation_aborted when the coroutine is cancelled, as Asio's own
  // operations do.
  boost::asio::awaitable<T> Take() {
    while (true) {
      if (std::optional<T> value = TakeNow()) co_return *std::move(value);
      // Ends by Giver's cancel() or the coroutine's cancellation; the latter throws at the next
      // co_await.
      co_await waker_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
  }

 private:
  std::optional<T> TakeNow() {
    const std::lock_guard lock(state_->mutex);
    return std::exchange(state_->value, std::nullopt);
  }

  boost::asio::steady_timer waker_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();  // shared with the givers
};

// Runs `work` on `pool` and gives its result back here. A coroutine that is cancelled meanwhile
// goes on without it, so `work` must own what it uses.
template <typename Work>
boost::asio::awaitable<std::invoke_result_t<Work>> RunOn(boost::asio::thread_pool& pool,
                                                         Work work) {
  Handoff<std::invoke_result_t<Work>> done(co_await boost::asio::this_coro::executor);
  boost::asio::post(pool,
                    [give = done.giver(), work = std::move(work)]() mutable { give(work()); });
  co_return co_await done.Take();
}

}  // namespace floe::gateway
