// Work over texts that would keep an I/O thread: done where there is time for it.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "gateway/awaitable.h"

namespace floe::gateway {

// Looking through this much takes about a millisecond.
inline constexpr size_t kInlineBytes = 16 << 10;

// work(), over `bytes` of text: here when they are few or there is no `background`, else there.
// What `work` refers to must outlive the request.
template <typename Work>
Awaitable<std::invoke_result_t<Work>> WorkOver(size_t bytes,
                                               const boost::asio::any_io_executor& background,
                                               Work work) {
  if (!background || bytes <= kInlineBytes) co_return work();
  const auto there = [](Work own) -> Awaitable<std::invoke_result_t<Work>> { co_return own(); };
  auto running = there(std::move(work));
  co_return co_await boost::asio::co_spawn(background, std::move(running),
                                           boost::asio::use_awaitable);
}

}  // namespace floe::gateway
