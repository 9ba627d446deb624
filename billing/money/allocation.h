// A rounded total over its lines.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

#include "billing/money/money.h"

namespace floe::billing {

struct Allocation {
  Money exact_total;           // sum of the amounts
  Money total;                 // exact_total to the nearest cent
  std::vector<Money> rounded;  // whole cents that sum to `total`, in the order of the amounts
};

// Largest remainder (Hare-Niemeyer): every amount goes down to a whole cent, and the cents that are
// missing to the total go to the largest remainders, the earlier line first among equals. No line
// moves by a cent or more.
absl::StatusOr<Allocation> RoundByLargestRemainder(const std::vector<Money>& amounts);

}  // namespace floe::billing
