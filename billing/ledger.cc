#include "billing/ledger.h"

#include <array>

#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::billing {
namespace {

constexpr std::array<std::string_view, 4> kKinds = {"usage", "tier_credit", "rounding", "training"};

std::string Receivable(std::string_view team) {
  return absl::StrCat("receivable/", AbslView(team));
}

}  // namespace

std::string_view Name(TransactionKind kind) { return kKinds[static_cast<size_t>(kind)]; }

std::vector<LedgerEntry> Posting::Entries() const {
  if (amount.is_zero()) return {};
  return {{0, std::string(Name(kind)), debit, amount},
          {0, std::string(Name(kind)), credit, -amount}};
}

Posting RoundingPosting(std::string_view invoice, std::string_view team, absl::Time time,
                        Money difference) {
  return {TransactionKind::kRounding, std::string(invoice), time,
          Receivable(team),           "rounding",           difference};
}

}  // namespace floe::billing
