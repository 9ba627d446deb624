// Double entry: every transaction sums to zero, and nothing is ever changed. Corrections are new
// transactions. The database holds both rules again (postgres/migrations).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

#include "billing/money/money.h"

namespace floe::billing {

enum class TransactionKind : uint8_t { kUsage, kTierCredit, kRounding, kTraining };
std::string_view Name(TransactionKind kind);  // usage, tier_credit, rounding, training

struct LedgerEntry {
  int64_t transaction_id = 0;  // given by the database
  std::string kind;
  std::string account;
  Money amount;  // positive: debit (owed to us, spent by us)
};

// An amount that moves from one account to another: the only shape of transaction there is.
struct Posting {
  TransactionKind kind = TransactionKind::kUsage;
  std::string source;  // usage id, invoice name, training cost id
  absl::Time time;
  std::string debit;   // gets +amount
  std::string credit;  // gets -amount
  Money amount;        // may be negative; a zero amount posts nothing

  std::vector<LedgerEntry> Entries() const;
};

// Usage is posted by the statement that stores it (postgres/usage_store.cc):
//   usage        receivable/{team} gets the charge, revenue/{model, else operation} pays
//   tier_credit  tier_credits/{model, else operation} gets the credit, receivable/{team} pays

// The difference between the rounded and the exact total of an invoice.
Posting RoundingPosting(std::string_view invoice, std::string_view team, absl::Time time,
                        Money difference);

}  // namespace floe::billing
