// Usage events into the ledger: each priced by the book that its request resolved, each once.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

#include "billing/ports.h"
#include "billing/price_books.h"
#include "billing/usage_event.h"

namespace floe::billing {

// Prices one event by `book`. The status says why it cannot be charged.
absl::StatusOr<RatedEvent> Rate(const UsageEvent& event, const PriceBooks::Resolved& book);

// Thread-safe. Borrows its parts.
class IngestUsage {
 public:
  IngestUsage(PriceBooks& books, UsageStore& store) : books_(books), store_(store) {}

  struct Outcome {
    IngestResult result;
    Money charge;
    Money credit;
  };
  // In the order of `events`, all in one transaction. An event whose price is not known is parked:
  // kept, and charged when it is. INVALID_ARGUMENT names the event that breaks a rule of
  // Validate(); nothing of the batch is kept then.
  absl::StatusOr<std::vector<Outcome>> Run(std::vector<UsageEvent> events);

  // Tries the parked events again: after a new price book. How many were charged.
  absl::StatusOr<int64_t> ChargeParked();

 private:
  absl::StatusOr<RatedEvent> RateOrPark(UsageEvent event);

  PriceBooks& books_;
  UsageStore& store_;
};

}  // namespace floe::billing
