// When a process that died is started again, and how long to wait for that. Pure.
#pragma once

#include "absl/time/time.h"

namespace floe::cli {

// A run this long makes earlier deaths forgotten.
inline constexpr absl::Duration kStableRun = absl::Seconds(30);

// Deaths in a row, after one more run of `ran`.
int DeathsInARow(int before, absl::Duration ran);

// 0.25 s after the first death in a row, doubling, at most 30 s.
absl::Duration RestartDelay(int deaths_in_a_row);

// What to give poll(2) so that `wait` is over when it returns: rounded up, at most a minute, also
// when `wait` is infinite.
int PollMilliseconds(absl::Duration wait);

}  // namespace floe::cli
