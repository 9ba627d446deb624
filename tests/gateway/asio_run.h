// Runs coroutines to their end in a test.
#pragma once

#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "gateway/awaitable.h"

namespace floe::gateway {

// The result of `work`, which runs on this thread until it is there.
template <typename T>
T RunToEnd(Awaitable<T> work) {
  boost::asio::io_context io;
  std::optional<T> result;
  boost::asio::co_spawn(
      io, [&]() -> Awaitable<void> { result.emplace(co_await std::move(work)); },
      boost::asio::detached);
  io.run();
  return *std::move(result);
}

}  // namespace floe::gateway
