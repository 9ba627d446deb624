#include "billing/focus.h"

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/view.h"
#include "billing/money/decimal.h"

namespace floe::billing {

const std::array<std::string_view, 40> kFocusColumns = {"BilledCost",
                                                        "BillingAccountId",
                                                        "BillingAccountName",
                                                        "BillingAccountType",
                                                        "BillingCurrency",
                                                        "BillingPeriodEnd",
                                                        "BillingPeriodStart",
                                                        "ChargeCategory",
                                                        "ChargeClass",
                                                        "ChargeDescription",
                                                        "ChargeFrequency",
                                                        "ChargePeriodEnd",
                                                        "ChargePeriodStart",
                                                        "ConsumedQuantity",
                                                        "ConsumedUnit",
                                                        "ContractedCost",
                                                        "ContractedUnitPrice",
                                                        "EffectiveCost",
                                                        "InvoiceId",
                                                        "InvoiceIssuerName",
                                                        "ListCost",
                                                        "ListUnitPrice",
                                                        "PricingCategory",
                                                        "PricingQuantity",
                                                        "PricingUnit",
                                                        "ProviderName",
                                                        "PublisherName",
                                                        "ResourceId",
                                                        "ResourceName",
                                                        "ResourceType",
                                                        "ServiceCategory",
                                                        "ServiceName",
                                                        "ServiceSubcategory",
                                                        "SkuId",
                                                        "SkuMeter",
                                                        "SkuPriceDetails",
                                                        "SkuPriceId",
                                                        "SubAccountId",
                                                        "SubAccountName",
                                                        "Tags"};

namespace {

constexpr char kProvider[] = "Floe";

// Column -> value; a column without one is null, which CSV writes as nothing.
using Row = std::map<std::string_view, std::string>;

std::string Line(const Row& row) {
  std::vector<std::string> fields;
  for (const std::string_view column : kFocusColumns) {
    const auto value = row.find(column);
    fields.push_back(value == row.end() ? "" : value->second);
  }
  return CsvLine(fields);
}

std::string Iso(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

struct Meter {
  std::string name;
  std::string unit;          // of ConsumedQuantity
  std::string pricing_unit;  // of PricingQuantity
  int scale = 0;             // pricing quantity = quantity / 10^scale
};

Meter MeterOf(std::string_view kind) {
  if (kind == "call") return {"Calls", "Calls", "Calls", 0};
  if (kind == "minimum") return {"Minimum Charge", "", "Picodollars", 0};
  Meter meter{"Input Tokens", "Tokens", "1000000 Tokens", 6};
  if (kind == "cached_input") meter.name = "Cached Input Tokens";
  if (kind == "output") meter.name = "Output Tokens";
  if (kind == "cached_output") meter.name = "Cached Output Tokens";
  return meter;
}

void SetCost(Row& row, Money amount) {
  for (const char* column : {"BilledCost", "ContractedCost", "EffectiveCost", "ListCost"}) {
    row[column] = amount.ToDollars();
  }
}

Row Common(std::string_view tenant, std::string_view team, const Interval& period) {
  return {{"BillingAccountId", std::string(tenant)},
          {"BillingAccountName", std::string(tenant)},
          {"BillingAccountType", "Tenant"},
          {"BillingCurrency", "USD"},
          {"BillingPeriodEnd", Iso(period.end)},
          {"BillingPeriodStart", Iso(period.start)},
          {"ChargeFrequency", "Usage-Based"},
          {"InvoiceIssuerName", kProvider},
          {"ProviderName", kProvider},
          {"PublisherName", kProvider},
          {"ServiceCategory", "AI and Machine Learning"},
          {"ServiceName", "Floe Inference"},
          {"ServiceSubcategory", "Generative AI"},
          {"SubAccountId", std::string(team)},
          {"SubAccountName", std::string(team)}};
}

std::string PriceDetails(const FocusUsage& usage) {
  return nlohmann::json{{"x_TokenType", usage.kind},
                        {"x_ServiceTier", usage.tier},
                        {"x_ModelVersion", usage.model_version},
                        {"x_Operation", usage.operation}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void SetPrice(Row& row, const FocusUsage& usage, const std::string& product) {
  const Meter meter = MeterOf(usage.kind);
  // A price of one as a price of 10^scale: the point moves, no digit is lost.
  const std::string price = WriteDecimal(usage.unit_price.picos(), 12 - meter.scale);
  row["ListUnitPrice"] = price;
  row["ContractedUnitPrice"] = price;
  row["PricingQuantity"] = WriteDecimal(usage.quantity, meter.scale);
  row["PricingUnit"] = meter.pricing_unit;
  row["PricingCategory"] = usage.tier == "flex" ? "Dynamic" : "Standard";
  if (!meter.unit.empty()) {
    row["ConsumedQuantity"] = absl::StrCat(usage.quantity);
    row["ConsumedUnit"] = meter.unit;
  }
  row["SkuMeter"] = meter.name;
  row["SkuPriceId"] =
      absl::StrCat(usage.price_book, "/", product, "/", usage.tier, "/", usage.kind);
  row["SkuPriceDetails"] = PriceDetails(usage);
}

}  // namespace

std::string FocusHeader() {
  return CsvLine(std::vector<std::string>(kFocusColumns.begin(), kFocusColumns.end()));
}

std::string FocusRow(const FocusUsage& usage, const Interval& period,
                     const std::optional<std::string>& invoice) {
  const bool credit = usage.kind == "tier_credit";
  const std::string product = usage.model.empty() ? usage.operation : usage.model;
  Row row = Common(usage.tenant, usage.team, period);
  SetCost(row, usage.amount);
  row["ChargeCategory"] = credit ? "Credit" : "Usage";
  if (usage.late) row["ChargeClass"] = "Correction";
  row["ChargeDescription"] =
      credit ? absl::StrCat("Credit for missed targets of ", product, " in tier ", usage.tier)
             : absl::StrCat(MeterOf(usage.kind).name, " of ", product, " in tier ", usage.tier);
  row["ChargePeriodStart"] = Iso(usage.hour);
  row["ChargePeriodEnd"] = Iso(usage.hour + absl::Hours(1));
  row["SkuId"] = product;
  if (!usage.model.empty()) {
    row["ResourceId"] = usage.model_version.empty()
                            ? usage.model
                            : absl::StrCat(usage.model, "@", usage.model_version);
    row["ResourceName"] = usage.model;
    row["ResourceType"] = "Model";
  }
  if (usage.tags != "{}") row["Tags"] = usage.tags;
  if (invoice) row["InvoiceId"] = *invoice;
  if (!credit) SetPrice(row, usage, product);
  return Line(row);
}

std::string FocusRoundingRow(const Invoice& invoice, std::string_view tenant) {
  const Interval period = IntervalOf(invoice.month);
  Row row = Common(tenant, invoice.team, period);
  SetCost(row, invoice.rounding);
  row["ChargeCategory"] = "Adjustment";
  row["ChargeDescription"] = "Rounding of the invoice to the cent";
  row["ChargeFrequency"] = "One-Time";
  row["ChargePeriodStart"] = Iso(period.start);
  row["ChargePeriodEnd"] = Iso(period.end);
  row["InvoiceId"] = invoice.Name();
  return Line(row);
}

}  // namespace floe::billing
