// Waiting as something that is handed in, so that tests own it.
#pragma once

#include <functional>

#include "absl/time/time.h"

#include "gateway/awaitable.h"

namespace floe::gateway {

// Ends when that time has passed. Throws operation_aborted when the coroutine is cancelled.
using Pause = std::function<Awaitable<void>(absl::Duration)>;

// By a timer of the coroutine's executor.
Awaitable<void> PauseByTimer(absl::Duration duration);

}  // namespace floe::gateway
