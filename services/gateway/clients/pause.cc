#include "services/gateway/clients/pause.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace floe::gateway {

Awaitable<void> PauseByTimer(absl::Duration duration) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                  absl::ToChronoNanoseconds(duration));
  co_await timer.async_wait(boost::asio::use_awaitable);
}

}  // namespace floe::gateway
