// Postings that are not usage, as ledger entries.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

#include "billing/ledger.h"

namespace pqxx {
class transaction_base;
}  // namespace pqxx

namespace floe::billing {

// The number of the new transaction; 0 when the amount is zero and nothing is posted.
absl::StatusOr<int64_t> Post(pqxx::transaction_base& sql, const Posting& posting);

}  // namespace floe::billing
