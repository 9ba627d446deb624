// When a process that died is started again. Pure.
#pragma once

#include "absl/time/time.h"

namespace floe::cli {

// A run this long makes earlier deaths forgotten.
inline constexpr absl::Duration kStableRun = absl::Seconds(30);

// Deaths in a row, after one more run of `ran`.
int DeathsInARow(int before, absl::Duration ran);

// 0.25 s after the first death in a row, doubling, at most 30 s.
absl::Duration RestartDelay(int deaths_in_a_row);

}  // namespace floe::cli
