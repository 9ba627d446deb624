// A timer that acts on a connection when something takes too long.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace floe::gateway {

// Used on one strand. `Owner` is held until the action has run or was disarmed.
class Deadline {
 public:
  explicit Deadline(const boost::asio::any_io_executor& executor) : timer_(executor) {}

  void Arm(absl::Duration after, std::shared_ptr<void> owner, std::function<void()> action) {
    timer_.expires_after(absl::ToChronoNanoseconds(after));
    timer_.async_wait([this, mine = ++armed_, owner = std::move(owner),
                       action = std::move(action)](const boost::system::error_code& error) {
      // An expiry that was queued when Disarm came is nobody's any more.
      if (!error && mine == armed_) action();
    });
  }
  void Disarm() {
    ++armed_;
    timer_.cancel();
  }

 private:
  boost::asio::steady_timer timer_;
  uint64_t armed_ = 0;
};

}  // namespace floe::gateway
