#include "billing/money/allocation.h"

#include <algorithm>
#include <numeric>

#include "base/status_macros.h"

namespace floe::billing {
namespace {

// Whole cents at or below, also for negative amounts.
Int128 FloorCents(Money amount) {
  const Int128 cents = amount.picos() / Money::kPicosPerCent;
  return amount.picos() % Money::kPicosPerCent < 0 ? cents - 1 : cents;
}

}  // namespace

absl::StatusOr<Allocation> RoundByLargestRemainder(const std::vector<Money>& amounts) {
  Allocation result;
  std::vector<Int128> cents;
  std::vector<Int128> remainder;
  Int128 missing = 0;
  for (const Money amount : amounts) {
    FLOE_ASSIGN_OR_RETURN(result.exact_total, Add(result.exact_total, amount));
    cents.push_back(FloorCents(amount));
    remainder.push_back(amount.picos() - cents.back() * Money::kPicosPerCent);
    missing -= cents.back();
  }
  result.total = RoundToCent(result.exact_total);
  missing += result.total.picos() / Money::kPicosPerCent;
  std::vector<size_t> order(amounts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainder[a] > remainder[b]; });
  // The remainders are below a cent each and sum to less than `missing` + 1 cents: enough lines.
  for (size_t i = 0; i < order.size() && missing > 0; ++i, --missing) ++cents[order[i]];
  for (const Int128 whole : cents) {
    result.rounded.push_back(Money::Picos(whole * Money::kPicosPerCent));
  }
  return result;
}

}  // namespace floe::billing
