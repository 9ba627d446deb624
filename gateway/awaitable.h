// What a stage or a port gives that takes time: a coroutine of Asio.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace floe::gateway {

template <typename T>
using Awaitable = boost::asio::awaitable<T>;

}  // namespace floe::gateway
