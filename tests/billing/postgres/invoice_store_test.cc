// Σ request charges = Σ FOCUS rows = invoice before rounding; months close once and in order.
#include <map>
#include <random>

#include "absl/strings/str_split.h"

#include "tests/billing/postgres/store_fixture.h"

namespace floe::billing {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::CivilMonth kNovember(2026, 11);
constexpr absl::CivilMonth kDecember(2026, 12);

class InvoiceStoreTest : public StoreTest {
 protected:
  UsageEvent OddEvent(const std::string& id, absl::Time time) {
    UsageEvent event = Event(id);
    event.time = time;
    return event;
  }
  Invoice Draft(absl::CivilMonth month, const std::string& team = "nlp") {
    const auto invoice = invoices_.Get(team, month);
    EXPECT_TRUE(invoice.ok()) << invoice.status();
    return invoice.ok() ? *invoice : Invoice();
  }

  struct Focus {
    Money billed;
    std::map<std::string, int> categories;
    std::vector<std::string> rows;
  };
  Focus Export(absl::CivilMonth month, const std::string& team = "") {
    Focus focus;
    bool header = true;
    const absl::Status status = invoices_.ExportFocus(team, month, [&](std::string_view line) {
      if (std::exchange(header, false)) return;
      // Costs stand in the first column, before anything that could be quoted.
      const std::string row(line);
      focus.billed = *Add(focus.billed, *Money::ParseDollars(row.substr(0, row.find(','))));
      for (const char* category : {"Usage", "Credit", "Adjustment"}) {
        if (row.find(absl::StrCat(",", category, ",")) != std::string::npos) {
          ++focus.categories[category];
        }
      }
      focus.rows.push_back(row);
    });
    EXPECT_TRUE(status.ok()) << status;
    return focus;
  }
};

TEST_F(InvoiceStoreTest, ChargesFocusRowsAndInvoiceComeToTheSameSum) {
  Publish("odd",
          "minimum: 0.000003\nmodels:\n"
          "  hamlet:\n"
          "    flex: {input: 0.000017, cached_input: 0.000003, output: 0.130007}\n"
          "    default: {input: 0.01733, cached_input: 0.00113, output: 0.170003, call: "
          "0.000000000007}\n"
          "    priority: {input: 0.099991, cached_input: 0.05, output: 7.7}\n",
          At("2026-01-01T00:00:00Z"));
  std::mt19937_64 random(3);
  const auto pick = [&](int64_t most) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(most + 1));
  };
  std::vector<UsageEvent> events;
  for (int i = 0; i < 1500; ++i) {
    UsageEvent event =
        OddEvent(absl::StrCat("u", i), At("2026-11-01T00:00:00Z") + absl::Seconds(pick(2'591'999)));
    event.price_book = "odd";
    event.team = pick(2) == 0 ? "law" : "nlp";
    event.usage.tier = kTiers[static_cast<size_t>(pick(2))];
    event.served_tier = kTiers[static_cast<size_t>(pick(2))];
    event.usage.quantities = {.input_tokens = pick(4000),
                              .cached_input_tokens = pick(300),
                              .output_tokens = pick(900),
                              .calls = pick(1)};
    events.push_back(event);
  }
  Ingest(events);
  Money charges;
  for (const char* team : {"nlp", "law"}) {
    const auto report =
        reports_.Query({.interval = IntervalOf(kNovember), .filter = {{"team", team}}});
    const Invoice invoice = Draft(kNovember, team);
    EXPECT_EQ(invoice.exact_total, report->total.net);
    EXPECT_EQ(invoice.exact_total, Receivable(team));
    EXPECT_EQ(invoice.exact_total, Export(kNovember, team).billed);
    Money lines;
    for (const InvoiceLine& line : invoice.lines) {
      lines = *Add(lines, line.amount);
      if (line.kind != "tier_credit") {
        EXPECT_EQ(*Multiply(line.unit_price, line.quantity), line.exact_amount);
      }
    }
    EXPECT_EQ(lines, invoice.total);
    charges = *Add(charges, invoice.exact_total);
  }
  Focus focus = Export(kNovember);
  EXPECT_EQ(focus.billed, charges);
  EXPECT_GT(focus.categories["Credit"], 0);
  // A row a SKU, price, tier and hour: never one a request.
  EXPECT_LT(focus.categories["Usage"], 1500 * 4);
}

TEST_F(InvoiceStoreTest, ARowIsAnHourOfOneSkuAtOnePrice) {
  const absl::Time hour = At("2026-11-03T10:00:00Z");
  Ingest({OddEvent("u1", hour), OddEvent("u2", hour + absl::Minutes(59)),
          OddEvent("u3", hour + absl::Minutes(60))});
  EXPECT_EQ(Export(kNovember).rows.size(), 4u);  // input and output, two hours
}

TEST_F(InvoiceStoreTest, AnIssuedInvoiceRoundsOnceAndNeverChanges) {
  clock_.Advance(absl::Hours(24 * 8));
  Ingest({OddEvent("u1", At("2026-11-24T10:00:00Z"))});
  const auto issued = invoices_.Issue("nlp", kNovember, clock_.Now());
  ASSERT_TRUE(issued.ok()) << issued.status();
  EXPECT_EQ(issued->exact_total, Money::Picos(kEventPicos));
  EXPECT_EQ(issued->total, Money());
  EXPECT_EQ(issued->rounding, Money::Picos(-kEventPicos));
  // What is owed is what the invoice says, in the ledger too; repeating changes nothing.
  EXPECT_EQ(Receivable(), issued->total);
  ASSERT_TRUE(invoices_.Issue("nlp", kNovember, clock_.Now()).ok());
  EXPECT_EQ(Receivable(), issued->total);
  // BilledCost of the invoice's rows is what is payable.
  const Focus focus = Export(kNovember);
  EXPECT_EQ(focus.billed, issued->total);
  EXPECT_EQ(focus.categories.at("Adjustment"), 1);
  EXPECT_THAT(focus.rows[0], HasSubstr("teams/nlp/invoices/2026-11"));
}

TEST_F(InvoiceStoreTest, LateUsageGoesToTheNextInvoiceAsACorrection) {
  clock_.Advance(absl::Hours(24 * 8));
  const absl::Time november = At("2026-11-24T10:00:00Z");
  Ingest({OddEvent("u1", november)});
  const auto issued = invoices_.Issue("nlp", kNovember, clock_.Now());
  ASSERT_TRUE(issued.ok()) << issued.status();
  Ingest({OddEvent("late", november), OddEvent("u2", clock_.Now())});
  EXPECT_EQ(Draft(kNovember).total, issued->total);
  EXPECT_EQ(Draft(kNovember).exact_total, issued->exact_total);
  const Invoice december = Draft(kDecember);
  EXPECT_EQ(december.exact_total, Money::Picos(2 * kEventPicos));
  std::vector<std::string> corrections;
  for (const auto& line : december.lines) corrections.push_back(line.correction_of);
  EXPECT_THAT(corrections, ElementsAre("", "", "2026-11", "2026-11"));
  EXPECT_THAT(Export(kDecember).rows[0], HasSubstr("Correction"));
  // Issued as well, it keeps both, and what comes now goes on to January.
  clock_.Advance(absl::Hours(24 * 31));
  ASSERT_TRUE(invoices_.Issue("nlp", kDecember, clock_.Now()).ok());
  Ingest({OddEvent("later", november)});
  EXPECT_EQ(Draft(kDecember).exact_total, Money::Picos(2 * kEventPicos));
  EXPECT_EQ(Draft(absl::CivilMonth(2027, 1)).exact_total, Money::Picos(kEventPicos));
}

TEST_F(InvoiceStoreTest, MonthsCloseWhenTheyAreOverAndInOrder) {
  Ingest({OddEvent("u1", At("2026-10-05T00:00:00Z")), Event("u2")});
  const auto issue = [&](absl::CivilMonth month) {
    return invoices_.Issue("nlp", month, clock_.Now()).status();
  };
  EXPECT_THAT(issue(kNovember).message(), HasSubstr("not over"));
  clock_.Advance(absl::Hours(24 * 40));
  EXPECT_THAT(issue(kNovember).message(), HasSubstr("2026-10"));
  EXPECT_TRUE(issue(absl::CivilMonth(2026, 10)).ok());
  EXPECT_TRUE(issue(kNovember).ok());
  EXPECT_THAT(issue(absl::CivilMonth(2026, 9)).message(), HasSubstr("in order"));
}

TEST_F(InvoiceStoreTest, AnEmptyMonthIsAnInvoiceOfNothing) {
  EXPECT_EQ(Draft(kNovember).total, Money());
  EXPECT_THAT(Export(kNovember).rows, IsEmpty());
  clock_.Advance(absl::Hours(24 * 8));
  EXPECT_TRUE(invoices_.Issue("nlp", kNovember, clock_.Now()).ok());
  EXPECT_EQ(Sql("SELECT count(*) FROM billing.ledger_entry"), "0");
}

}  // namespace
}  // namespace floe::billing
