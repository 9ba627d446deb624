// How long an answer that lost its worker in mid-stream waits for the next one. Pure: what the
// workers said in, a decision out.
#pragma once

#include <optional>

#include "absl/time/time.h"

namespace floe::gateway {

// What came of asking all workers once.
struct Round {
  bool somebody_full = false;                       // a worker would take it, but has no room now
  std::optional<absl::Duration> soonest_room;       // by those that said when
  absl::Duration time_left = absl::ZeroDuration();  // until the call's deadline
  double spread = 0;                                // in [0, 1), drawn: see Patience
};

// Of one answer. While a worker is merely full it waits until the deadline: as long as the refusals
// say, else 0.2 s, doubling up to 5 s. While none can be reached, as in an upgrade whose
// replacement is not there yet, it waits a minute in all.
//
// Answers that lost the same worker would all come back at once, so `spread` keeps them apart: a
// wait that somebody asked for gets up to half as much again, any other is cut to no less than its
// half.
class Patience {
 public:
  // The wait before all are asked again; nothing when it is at its end.
  std::optional<absl::Duration> After(const Round& round);

 private:
  absl::Duration next_ = absl::Milliseconds(200);
  absl::Duration nobody_there_;  // waited so far while no worker could be reached
};

}  // namespace floe::gateway
