// A team's month: exact lines, rounded once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/money/money.h"

namespace floe::billing {

// Uses of one thing at one price.
struct InvoiceLine {
  std::string model;  // empty: an operation without one
  std::string operation;
  std::string tier;  // that was asked for
  std::string kind;  // input, …, minimum, or tier_credit
  int64_t quantity = 0;
  Money unit_price;
  Money exact_amount;
  std::string correction_of;  // `2026-10`: use of a month that was closed before it arrived

  Money amount;  // to the cent; filled by MakeInvoice
};

struct Invoice {
  std::string team;
  absl::CivilMonth month;
  std::vector<InvoiceLine> lines;
  Money exact_total;
  Money total;     // what is owed: the sum of the lines' amounts
  Money rounding;  // total - exact_total
  std::optional<absl::Time> issue_time;

  std::string Name() const;  // teams/{team}/invoices/{month}
};

// Rounds the total to the cent and spreads it over the lines by largest remainder.
absl::StatusOr<Invoice> MakeInvoice(std::string team, absl::CivilMonth month,
                                    std::vector<InvoiceLine> lines);

// A whole page without anything fetched from elsewhere; every text is escaped.
std::string InvoiceHtml(const Invoice& invoice);
// Header, lines, and a last line with the total.
std::string InvoiceCsv(const Invoice& invoice);

}  // namespace floe::billing
