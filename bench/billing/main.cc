// floe-bench-billing [events]: usage events a second into the ledger (priced, stored, posted by
// double entry, budgets settled), beside what the same private Postgres does with the bare rows:
// one INSERT a row, and COPY. Prints the rows of bench/README.md.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/clock.h"
#include "base/id.h"
#include "base/postgres/migrations.h"
#include "base/postgres/pool.h"
#include "base/status_macros.h"
#include "bench/billing/postgres/bare_rows.h"
#include "bench/program/program.h"
#include "billing/ingest.h"
#include "billing/postgres/budget_store.h"
#include "billing/postgres/migrations_sql.h"
#include "billing/postgres/price_book_store.h"
#include "billing/postgres/usage_store.h"
#include "tests/support/postgres.h"

namespace floe::billing {
namespace {

constexpr int kBatch = 2000;
constexpr char kBook[] =
    "models:\n  hamlet:\n    default: {input: 0.15, cached_input: 0.075, output: 0.6, call: "
    "0.00001}\n    priority: {input: 0.3, cached_input: 0.15, output: 1.2}\n";
double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<UsageEvent> MakeEvents(int count, IdGenerator& ids) {
  std::vector<UsageEvent> events(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    UsageEvent& event = events[static_cast<size_t>(i)];
    event = {.usage_id = ids.Next(),
             .time = absl::Now(),
             .team = absl::StrCat("team", i % 10),
             .key = absl::StrCat("key", i % 100),
             .gateway = "gateway-0",
             .usage = {Operation::kChat,
                       "teams/team0/models/hamlet",
                       i % 50 == 0 ? Tier::kPriority : Tier::kDefault,
                       {.input_tokens = 500 + i % 700,
                        .cached_input_tokens = i % 3 == 0 ? 200 : 0,
                        .output_tokens = 100 + i % 300,
                        .calls = 1}},
             .model_version = "7",
             .checkpoint_digest = std::string(64, 'a'),
             .price_book = "b1",
             .policy_version = "policy-3",
             .arrived_tokens = 100 + i % 300,
             .tags = {{"app", "mail"}},
             .trace_id = std::string(32, 'b'),
             .queue_time = absl::Milliseconds(2),
             .time_to_first_token = absl::Milliseconds(80),
             .total_time = absl::Milliseconds(900)};
  }
  return events;
}

std::vector<RatedEvent> RateAll(const std::vector<UsageEvent>& events, PriceBooks& books) {
  std::vector<RatedEvent> rated;
  for (const UsageEvent& event : events) {
    rated.push_back(*Rate(event, *books.Resolve("b1", event.time)));
  }
  return rated;
}

double IngestSeconds(const std::vector<UsageEvent>& events, IngestUsage& ingest, int writers) {
  std::atomic<size_t> next = 0;
  return Seconds([&] {
    std::vector<std::thread> threads;
    for (int w = 0; w < writers; ++w) {
      threads.emplace_back([&] {
        for (;;) {
          const size_t begin = next.fetch_add(kBatch);
          if (begin >= events.size()) return;
          const size_t end = std::min(events.size(), begin + kBatch);
          const auto outcomes = ingest.Run({events.begin() + static_cast<ptrdiff_t>(begin),
                                            events.begin() + static_cast<ptrdiff_t>(end)});
          if (!outcomes.ok()) std::cerr << outcomes.status() << "\n";
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
}

absl::Status Run(int count) {
  const std::string dsn = test::Postgres::Shared().CreateDatabase();
  SystemClock clock;
  UlidGenerator ids(clock);
  FLOE_ASSIGN_OR_RETURN(auto pool, postgres::Pool::Create({.dsn = dsn}));
  FLOE_RETURN_IF_ERROR(postgres::Migrate(*pool, "billing", Migrations()));
  PostgresPriceBookStore book_store(*pool);
  PostgresUsageStore usage_store(*pool);
  PostgresBudgetStore budgets(*pool, clock, ids);
  PriceBooks books(book_store, clock);
  IngestUsage ingest(books, usage_store);
  FLOE_RETURN_IF_ERROR(books.Create({.id = "b1", .yaml = kBook}).status());
  FLOE_RETURN_IF_ERROR(budgets
                           .Create({.id = "team0",
                                    .subject = {.scope = Scope::kTeam, .team = "team0"},
                                    .limit = Money::Dollars(1'000'000)},
                                   RequestKey())
                           .status());

  BareRows bare(dsn);
  const int few = std::max(1, count / 20);
  const std::vector<UsageEvent> for_copy = MakeEvents(count, ids),
                                for_insert = MakeEvents(few, ids);
  const double copy = count / bare.Copy(RateAll(for_copy, books));
  const double insert = few / bare.InsertOneByOne(RateAll(for_insert, books));
  const double one = count / IngestSeconds(MakeEvents(count, ids), ingest, 1);
  const double two = count / IngestSeconds(MakeEvents(count, ids), ingest, 2);
  const auto again = MakeEvents(count, ids);
  IngestSeconds(again, ingest, 2);
  const double repeated = count / IngestSeconds(again, ingest, 2);

  const auto row = [&](const char* work, double ours) {
    return nlohmann::ordered_json{{"work", work},
                                  {"ours", ours},
                                  {"unit", "events/s"},
                                  {"peer", insert},
                                  {"peer_name", "INSERT a row"},
                                  {"limit", copy}};
  };
  std::cout << nlohmann::ordered_json{{"rows",
                                       {row("events into the ledger, 1 writer", one),
                                        row("events into the ledger, 2 writers", two),
                                        row("the same events again, 2 writers", repeated)}}}
                   .dump()
            << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::billing

int main(int argc, char** argv) {
  int count = 100'000;
  CLI::App app("Usage events a second into the ledger", "floe-bench-billing");
  app.add_option("events", count, "How many")->check(CLI::PositiveNumber)->capture_default_str();
  return floe::bench::Main(app, argc, argv, [&] { return floe::billing::Run(count); });
}
