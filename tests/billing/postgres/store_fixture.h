// Billing's stores on a real Postgres, with a database for each test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/postgres/migrations.h"
#include "base/postgres/pool.h"
#include "billing/ingest.h"
#include "billing/postgres/budget_store.h"
#include "billing/postgres/invoice_store.h"
#include "billing/postgres/job_usage_store.h"
#include "billing/postgres/migrations_sql.h"
#include "billing/postgres/price_book_store.h"
#include "billing/postgres/report_store.h"
#include "billing/postgres/slice_store.h"
#include "billing/postgres/training_cost_store.h"
#include "billing/postgres/usage_store.h"
#include "billing/price_books.h"
#include "tests/billing/sample_book.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ids.h"
#include "tests/support/postgres.h"

namespace floe::billing {

inline absl::Time At(const std::string& text) {
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) << text;
  return time;
}

class StoreTest : public testing::Test {
 protected:
  // It is noon on 24 November 2026, and the sample book is in force since the year began.
  StoreTest() : clock_(At("2026-11-24T12:00:00Z")) {
    EXPECT_TRUE(postgres::Migrate(*pool_, "billing", Migrations()).ok());
    Publish("b1", kSampleBook, At("2026-01-01T00:00:00Z"));
  }

  void Publish(const std::string& id, const std::string& yaml, absl::Time from) {
    const auto made = books_.Create({.id = id, .yaml = yaml, .effective_time = from});
    EXPECT_TRUE(made.ok()) << made.status();
  }

  // 100 tokens in, 10 out of hamlet, default tier: 28,000,000 picodollars.
  static constexpr int64_t kEventPicos = 100 * 200'000 + 10 * 800'000;
  UsageEvent Event(const std::string& id) const;

  std::vector<IngestState> Ingest(std::vector<UsageEvent> events) {
    const auto outcomes = ingest_.Run(std::move(events));
    EXPECT_TRUE(outcomes.ok()) << outcomes.status();
    std::vector<IngestState> states;
    if (!outcomes.ok()) return states;
    for (const auto& outcome : *outcomes) states.push_back(outcome.result.state);
    return states;
  }

  // The first field of a statement's first row.
  std::string Sql(const std::string& statement) {
    std::string value;
    EXPECT_TRUE(pool_
                    ->Run([&](pqxx::transaction_base& sql) -> absl::Status {
                      value = sql.exec(statement)[0][0].c_str();
                      return absl::OkStatus();
                    })
                    .ok());
    return value;
  }
  absl::Status Execute(const std::string& statement) {
    return pool_->Run([&](pqxx::transaction_base& sql) -> absl::Status {
      sql.exec(statement);
      return absl::OkStatus();
    });
  }
  Money Receivable(const std::string& team = "nlp") {
    return *Money::Parse(Sql(absl::StrCat(
        "SELECT coalesce(sum(amount), 0)::text FROM billing.ledger_entry WHERE account = "
        "'receivable/",
        team, "'")));
  }

  absl::StatusOr<BudgetView> MakeBudget(const std::string& id, Money limit,
                                        Subject subject = {.scope = Scope::kTeam, .team = "nlp"},
                                        Period period = Period::kDay) {
    return budgets_.Create({.id = id, .subject = subject, .period = period, .limit = limit},
                           {.team = "nlp", .id = "make-" + id, .fingerprint = id});
  }

  test::FakeClock clock_;
  test::FakeIds ids_;
  std::string dsn_ = test::Postgres::Shared().CreateDatabase();
  std::unique_ptr<postgres::Pool> pool_ =
      *postgres::Pool::Create({.dsn = dsn_, .max_connections = 16});
  PostgresPriceBookStore book_store_{*pool_};
  PostgresUsageStore usage_{*pool_};
  PostgresBudgetStore budgets_{*pool_, clock_, ids_};
  PostgresSliceStore slices_{*pool_, clock_, ids_};
  PostgresReportStore reports_{*pool_};
  PostgresInvoiceStore invoices_{*pool_};
  PostgresTrainingCostStore training_{*pool_};
  PostgresJobUsageStore job_usage_{*pool_};
  PriceBooks books_{book_store_, clock_};
  IngestUsage ingest_{books_, usage_};
};

}  // namespace floe::billing
