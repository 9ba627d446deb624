#include "cli/fleet/backoff.h"

#include <algorithm>

namespace floe::cli {

int DeathsInARow(int before, absl::Duration ran) { return ran >= kStableRun ? 1 : before + 1; }

absl::Duration RestartDelay(int deaths_in_a_row) {
  absl::Duration delay = absl::Milliseconds(250);
  for (int i = 1; i < deaths_in_a_row && delay < absl::Seconds(30); ++i) delay *= 2;
  return std::min(delay, absl::Seconds(30));
}

int PollMilliseconds(absl::Duration wait) {
  const absl::Duration bounded = std::clamp(wait, absl::ZeroDuration(), absl::Minutes(1));
  return static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(bounded, absl::Milliseconds(1))));
}

}  // namespace floe::cli
