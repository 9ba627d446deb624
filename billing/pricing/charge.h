// From usage to money: pure functions over a price book.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "billing/money/money.h"
#include "billing/pricing/price_book.h"
#include "billing/pricing/terms.h"

namespace floe::billing {

// Billable amounts. The kinds are disjoint: a token is counted in one of them.
struct Quantities {
  int64_t input_tokens = 0;  // without the cached ones
  int64_t cached_input_tokens = 0;
  int64_t output_tokens = 0;         // generated
  int64_t cached_output_tokens = 0;  // out of the exact cache
  int64_t calls = 0;
  bool operator==(const Quantities&) const = default;
};

struct Usage {
  Operation operation = Operation::kChat;
  std::string model;  // as PriceBook::TokenPrice takes it
  Tier tier = Tier::kDefault;
  Quantities quantities;
};

struct ChargeLine {
  Kind kind = Kind::kInput;
  int64_t quantity = 0;  // tokens or calls; picodollars for kMinimum
  Money unit_price;      // of one
  Money amount;          // quantity × unit_price
  Money cost;            // quantity × the cost of one
  bool operator==(const ChargeLine&) const = default;
};

struct Charge {
  std::vector<ChargeLine> lines;  // at most one a kind, in the order of Kind
  Money total;                    // their sum
  Money cost;
};

// One line for each quantity that is not zero (also when its price is); when they come to less than
// the minimum and any quantity is not zero, a line kMinimum for what is missing. No usage, no
// charge. INVALID_ARGUMENT for a negative quantity, NO_PRICE as in PriceBook.
absl::StatusOr<Charge> PriceUsage(const PriceBook& book, const Usage& usage);

// What was charged for a tier that was not kept, down to the price of the tier that was: never
// negative, never more than the charge, and zero when `served` is the tier asked for or above. When
// the book does not offer `served`, the tier above it that it does offer counts.
absl::StatusOr<Money> TierCredit(const PriceBook& book, const Usage& usage, Tier served,
                                 const Charge& charge);

// The most that a request of this size can be charged, whichever tokens turn out to be cached and
// however long the answer is.
absl::StatusOr<Charge> WorstCase(const PriceBook& book, Operation operation,
                                 const std::string& model, Tier tier, int64_t input_tokens,
                                 int64_t max_output_tokens);

// "1,200 input tokens × $0.00000015 = $0.00018".
std::string Arithmetic(const ChargeLine& line);

}  // namespace floe::billing
