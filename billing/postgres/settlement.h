// Charges from held to spent: inside the transaction that posts them.
#pragma once

#include <vector>

#include "absl/status/status.h"

#include "billing/usage_event.h"

namespace pqxx {
class transaction_base;
}  // namespace pqxx

namespace floe::billing {

// Adds what was just charged to the budgets that bind it, in the period of each event's time, and
// to the slices that it was reserved in.
absl::Status Settle(pqxx::transaction_base& sql, const std::vector<const RatedEvent*>& charged);

}  // namespace floe::billing
