// What finance reads: CSV, invoices, FOCUS rows, training cost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"

#include "billing/focus.h"
#include "billing/invoice.h"
#include "billing/report.h"
#include "billing/training_cost.h"

namespace floe::billing {
namespace {

using testing::HasSubstr;

TEST(CsvTest, QuotesAndDefusesText) {
  EXPECT_EQ(CsvField("plain"), "plain");
  EXPECT_EQ(CsvField("a,b"), "\"a,b\"");
  EXPECT_EQ(CsvField("say \"x\""), "\"say \"\"x\"\"\"");
  EXPECT_EQ(CsvField("=cmd()"), "'=cmd()");
  EXPECT_EQ(CsvField("+a"), "'+a");
  EXPECT_EQ(CsvField("-0.5"), "-0.5");  // a number stays one
}

TEST(ReportQueryTest, NamesUnknownColumns) {
  ReportQuery query{.interval = {absl::UnixEpoch(), absl::InfiniteFuture()}};
  query.group_by = {"team", "token_kind", "tag:app"};
  EXPECT_TRUE(query.Check().ok());
  EXPECT_EQ(query.TagKey(), "app");
  query.filter = {{"tag:other", "x"}};
  EXPECT_THAT(query.Check().message(), HasSubstr("one tag"));
  query.filter.clear();
  query.group_by = {"color"};
  EXPECT_THAT(query.Check().message(), HasSubstr("\"color\" is no column"));
  query.group_by = {"team", "team"};
  EXPECT_THAT(query.Check().message(), HasSubstr("twice"));
}

TEST(MonthTest, ReadsAndWrites) {
  EXPECT_EQ(*ParseMonth("2026-11"), absl::CivilMonth(2026, 11));
  EXPECT_EQ(WriteMonth(absl::CivilMonth(2026, 3)), "2026-03");
  for (const char* text : {"", "2026-13", "2026-1", "11-2026", "2026-00", "2026-+1"}) {
    EXPECT_FALSE(ParseMonth(text).ok()) << text;
  }
}

InvoiceLine Line(const char* model, const char* kind, int64_t picos) {
  return {.model = model,
          .tier = "default",
          .kind = kind,
          .quantity = 1,
          .unit_price = Money::Picos(picos),
          .exact_amount = Money::Picos(picos)};
}

TEST(InvoiceTest, LinesSumToTheTotalInHtmlAndCsv) {
  const auto invoice =
      MakeInvoice("nlp", absl::CivilMonth(2026, 11),
                  {Line("a", "input", 3'333'333'333), Line("<b>", "output", 14'444'444'444),
                   Line("c", "tier_credit", -2'222'222'222)});
  ASSERT_TRUE(invoice.ok());
  EXPECT_EQ(invoice->total, *Money::ParseDollars("0.02"));
  EXPECT_EQ(*Add(invoice->exact_total, invoice->rounding), invoice->total);
  Money sum;
  for (const auto& line : invoice->lines) sum = *Add(sum, line.amount);
  EXPECT_EQ(sum, invoice->total);
  const std::string html = InvoiceHtml(*invoice);
  EXPECT_THAT(html, HasSubstr("&lt;b&gt;"));
  EXPECT_THAT(html, testing::Not(HasSubstr("<b>")));
  EXPECT_THAT(html, HasSubstr("draft"));
  EXPECT_THAT(html, testing::Not(HasSubstr("http")));
  EXPECT_THAT(InvoiceCsv(*invoice), HasSubstr("total,,,,,,0.015555555555,0.02,"));
}

// The columns that FOCUS 1.2 marks as mandatory.
TEST(FocusTest, HasTheMandatoryColumns) {
  for (const char* column :
       {"BilledCost",        "BillingAccountId",   "BillingAccountName", "BillingCurrency",
        "BillingPeriodEnd",  "BillingPeriodStart", "ChargeCategory",     "ChargeClass",
        "ChargeDescription", "ChargePeriodEnd",    "ChargePeriodStart",  "ContractedCost",
        "EffectiveCost",     "InvoiceIssuerName",  "ListCost",           "PricingQuantity",
        "PricingUnit",       "ProviderName",       "PublisherName",      "ServiceCategory",
        "ServiceName"}) {
    EXPECT_NE(std::find(kFocusColumns.begin(), kFocusColumns.end(), column), kFocusColumns.end())
        << column;
  }
  EXPECT_TRUE(std::is_sorted(kFocusColumns.begin(), kFocusColumns.end()));
}

std::map<std::string, std::string> Fields(const std::string& line) {
  // The rows below hold no quoted commas.
  const std::vector<std::string> values = absl::StrSplit(line.substr(0, line.size() - 2), ',');
  EXPECT_EQ(values.size(), kFocusColumns.size());
  std::map<std::string, std::string> fields;
  for (size_t i = 0; i < values.size(); ++i) fields[std::string(kFocusColumns[i])] = values[i];
  return fields;
}

FocusUsage Hour() {
  return {.hour = absl::FromUnixSeconds(1'800'000'000),
          .tenant = "acme",
          .team = "nlp",
          .model = "hamlet",
          .model_version = "7",
          .operation = "chat",
          .tier = "flex",
          .kind = "cached_input",
          .price_book = "b1",
          .tags = "{}",
          .quantity = 1'234'567,
          .unit_price = Money::Picos(150'000),
          .amount = Money::Picos(150'000 * Int128{1'234'567})};
}

TEST(FocusTest, PriceTimesQuantityIsTheCostToTheLastDigit) {
  const Interval period = IntervalOf(absl::CivilMonth(2027, 1));
  std::string row = FocusRow(Hour(), period, std::nullopt);
  // Its one quoted field.
  const size_t open = row.find("\"{"), close = row.find("}\"");
  row.erase(open, close + 2 - open);
  auto fields = Fields(row);
  EXPECT_EQ(fields["PricingQuantity"], "1.234567");
  EXPECT_EQ(fields["PricingUnit"], "1000000 Tokens");
  EXPECT_EQ(fields["ListUnitPrice"], "0.15");
  EXPECT_EQ(fields["ListCost"], "0.18518505");
  EXPECT_EQ(fields["BilledCost"], "0.18518505");
  EXPECT_EQ(fields["ConsumedQuantity"], "1234567");
  EXPECT_EQ(fields["ChargeCategory"], "Usage");
  EXPECT_EQ(fields["ChargeClass"], "");
  EXPECT_EQ(fields["PricingCategory"], "Dynamic");
  EXPECT_EQ(fields["SkuMeter"], "Cached Input Tokens");
  EXPECT_EQ(fields["SkuPriceId"], "b1/hamlet/flex/cached_input");
  EXPECT_EQ(fields["ChargePeriodStart"], "2027-01-15T08:00:00Z");
  EXPECT_EQ(fields["ChargePeriodEnd"], "2027-01-15T09:00:00Z");
  EXPECT_EQ(fields["InvoiceId"], "");
  EXPECT_EQ(fields["ResourceId"], "hamlet@7");
}

TEST(FocusTest, CreditsAndLateRowsAreMarked) {
  const Interval period = IntervalOf(absl::CivilMonth(2027, 2));
  FocusUsage credit = Hour();
  credit.kind = "tier_credit";
  credit.amount = Money::Picos(-5);
  credit.late = true;
  credit.tags = "{}";
  std::string row = FocusRow(credit, period, "teams/nlp/invoices/2027-02");
  EXPECT_THAT(row, HasSubstr(",Credit,Correction,"));
  EXPECT_THAT(row, HasSubstr("-0.000000000005"));
  EXPECT_THAT(row, HasSubstr("teams/nlp/invoices/2027-02"));
}

TEST(TrainingCostTest, IsWrittenOffByWholeDaysAndEndsExact) {
  const absl::Time start = absl::FromUnixSeconds(1'800'000'000);
  const TrainingCost cost{.team = "nlp",
                          .model = "m",
                          .model_version = "1",
                          .amount = Money::Picos(100),
                          .start_time = start,
                          .days = 3};
  EXPECT_EQ(*Amortized(cost, start - absl::Hours(5)), Money());
  EXPECT_EQ(*Amortized(cost, start + absl::Hours(23)), Money());
  EXPECT_EQ(*Amortized(cost, start + absl::Hours(25)), Money::Picos(33));
  EXPECT_EQ(*Amortized(cost, start + absl::Hours(72)), Money::Picos(100));
  EXPECT_EQ(*Amortized(cost, start + absl::Hours(7200)), Money::Picos(100));
}

TEST(TrainingCostTest, BreakEvenComesAtThePaceSoFar) {
  const absl::Time start = absl::FromUnixSeconds(1'800'000'000);
  const TrainingCost cost{.team = "nlp",
                          .model = "m",
                          .model_version = "1",
                          .amount = Money::Picos(100),
                          .start_time = start,
                          .days = 10};
  const absl::Time now = start + absl::Seconds(1000);
  const auto row = [&](int64_t revenue, int64_t running) {
    const auto rows = CompareTrainingCost(
        {cost}, {{"nlp", "m", "1", Money::Picos(revenue), Money::Picos(running), start}}, {}, now);
    return rows->at(0);
  };
  EXPECT_EQ(*row(75, 50).break_even_time, now + absl::Seconds(3000));
  EXPECT_EQ(row(75, 50).remaining, Money::Picos(75));
  EXPECT_TRUE(row(200, 90).break_even_reached);
  EXPECT_FALSE(row(50, 50).break_even_time.has_value());
  EXPECT_FALSE(row(40, 50).break_even_time.has_value());
  EXPECT_EQ(CompareTrainingCost({cost}, {}, {}, now)->at(0).remaining, Money::Picos(100));
}

}  // namespace
}  // namespace floe::billing
