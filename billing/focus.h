// FOCUS 1.2 (focus.finops.org): the FinOps format of cost data, as CSV. One row per SKU, price,
// tier and hour; never one a request. Quantities and prices are exact decimals, so PricingQuantity
// × ListUnitPrice is ListCost to the last digit.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

#include "billing/invoice.h"
#include "billing/money/money.h"
#include "billing/report.h"

namespace floe::billing {

// What happened in one hour, of one SKU at one price.
struct FocusUsage {
  absl::Time hour;
  std::string tenant;
  std::string team;
  std::string model;
  std::string model_version;
  std::string operation;
  std::string tier;
  std::string kind;  // as InvoiceLine::kind
  std::string price_book;
  std::string tags;  // a JSON object
  int64_t quantity = 0;
  Money unit_price;
  Money amount;       // negative for credits
  bool late = false;  // arrived after its month was closed
};

// The columns, in the order of the specification.
extern const std::array<std::string_view, 40> kFocusColumns;

// One line; the header is FocusHeader().
std::string FocusHeader();
// `period` is the month whose invoice bears the row; `invoice` its name once it is issued.
std::string FocusRow(const FocusUsage& usage, const Interval& period,
                     const std::optional<std::string>& invoice);
// The rounding of an issued invoice, so that BilledCost sums to what is owed.
std::string FocusRoundingRow(const Invoice& invoice, std::string_view tenant);

}  // namespace floe::billing
