#include "billing/pricing/charge.h"

#include <algorithm>
#include <array>
#include <limits>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::billing {
namespace {

absl::Status AddLine(Charge& charge, Kind kind, int64_t quantity, const Price& price) {
  ChargeLine line{.kind = kind, .quantity = quantity, .unit_price = price.price};
  FLOE_ASSIGN_OR_RETURN(line.amount, Multiply(price.price, quantity));
  FLOE_ASSIGN_OR_RETURN(line.cost, Multiply(price.cost, quantity));
  FLOE_ASSIGN_OR_RETURN(charge.total, Add(charge.total, line.amount));
  FLOE_ASSIGN_OR_RETURN(charge.cost, Add(charge.cost, line.cost));
  charge.lines.push_back(line);
  return absl::OkStatus();
}

absl::Status AddMinimum(const PriceBook& book, const std::string& model, Charge& charge) {
  const Money minimum = book.Minimum(model);
  if (charge.lines.empty() || charge.total >= minimum) return absl::OkStatus();
  FLOE_ASSIGN_OR_RETURN(const Money missing, Subtract(minimum, charge.total));
  // One picodollar a piece, so that lines of different size are one product in every report.
  return AddLine(charge, Kind::kMinimum, static_cast<int64_t>(missing.picos()),
                 Price{Money::Picos(1), Money()});
}

std::string WithCommas(int64_t number) {
  std::string text = absl::StrCat(number);
  for (auto at = static_cast<int>(text.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3) {
    text.insert(static_cast<size_t>(at), 1, ',');
  }
  return text;
}

std::string_view Unit(Kind kind, int64_t quantity) {
  switch (kind) {
    case Kind::kInput:
      return quantity == 1 ? " input token" : " input tokens";
    case Kind::kCachedInput:
      return quantity == 1 ? " cached input token" : " cached input tokens";
    case Kind::kOutput:
      return quantity == 1 ? " output token" : " output tokens";
    case Kind::kCachedOutput:
      return quantity == 1 ? " cached output token" : " cached output tokens";
    case Kind::kCall:
      return quantity == 1 ? " call" : " calls";
    case Kind::kMinimum:
      return " picodollars to the minimum";
  }
  return "";
}

}  // namespace

absl::StatusOr<Charge> PriceUsage(const PriceBook& book, const Usage& usage) {
  const Quantities& q = usage.quantities;
  const std::array<std::pair<Kind, int64_t>, 4> tokens = {{
      {Kind::kInput, q.input_tokens},
      {Kind::kCachedInput, q.cached_input_tokens},
      {Kind::kOutput, q.output_tokens},
      {Kind::kCachedOutput, q.cached_output_tokens},
  }};
  Charge charge;
  for (const auto& [kind, quantity] : tokens) {
    if (quantity < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("the quantity of ", AbslView(Name(kind)), " is negative: ", quantity));
    }
    if (quantity == 0) continue;
    FLOE_ASSIGN_OR_RETURN(const Price price, book.TokenPrice(usage.model, usage.tier, kind));
    FLOE_RETURN_IF_ERROR(AddLine(charge, kind, quantity, price));
  }
  if (q.calls < 0) {
    return absl::InvalidArgumentError(absl::StrCat("the number of calls is negative: ", q.calls));
  }
  if (q.calls > 0) {
    FLOE_ASSIGN_OR_RETURN(const Price price,
                          book.CallPrice(usage.operation, usage.model, usage.tier));
    FLOE_RETURN_IF_ERROR(AddLine(charge, Kind::kCall, q.calls, price));
  }
  FLOE_RETURN_IF_ERROR(AddMinimum(book, usage.model, charge));
  return charge;
}

absl::StatusOr<Money> TierCredit(const PriceBook& book, const Usage& usage, Tier served,
                                 const Charge& charge) {
  Tier kept = served;
  while (kept < usage.tier && !usage.model.empty() && !book.Offers(usage.model, kept)) {
    kept = static_cast<Tier>(static_cast<uint8_t>(kept) + 1);
  }
  if (kept >= usage.tier) return Money();
  Usage cheaper = usage;
  cheaper.tier = kept;
  FLOE_ASSIGN_OR_RETURN(const Charge owed, PriceUsage(book, cheaper));
  FLOE_ASSIGN_OR_RETURN(const Money credit, Subtract(charge.total, owed.total));
  return std::clamp(credit, Money(), charge.total);
}

absl::StatusOr<Charge> WorstCase(const PriceBook& book, Operation operation,
                                 const std::string& model, Tier tier, int64_t input_tokens,
                                 int64_t max_output_tokens) {
  Usage usage{.operation = operation, .model = model, .tier = tier};
  usage.quantities.calls = 1;
  if (input_tokens != 0) {
    // A book may price cached input above input; then that is the worst case.
    FLOE_ASSIGN_OR_RETURN(const Price fresh, book.TokenPrice(model, tier, Kind::kInput));
    FLOE_ASSIGN_OR_RETURN(const Price cached, book.TokenPrice(model, tier, Kind::kCachedInput));
    (cached.price > fresh.price ? usage.quantities.cached_input_tokens
                                : usage.quantities.input_tokens) = input_tokens;
  }
  if (max_output_tokens != 0) {
    FLOE_ASSIGN_OR_RETURN(const Price fresh, book.TokenPrice(model, tier, Kind::kOutput));
    FLOE_ASSIGN_OR_RETURN(const Price cached, book.TokenPrice(model, tier, Kind::kCachedOutput));
    (cached.price > fresh.price ? usage.quantities.cached_output_tokens
                                : usage.quantities.output_tokens) = max_output_tokens;
  }
  return PriceUsage(book, usage);
}

std::string Arithmetic(const ChargeLine& line) {
  return absl::StrCat(WithCommas(line.quantity), AbslView(Unit(line.kind, line.quantity)), " × $",
                      line.unit_price.ToDollars(), " = $", line.amount.ToDollars());
}

}  // namespace floe::billing
