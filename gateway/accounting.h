// What a request costs, who may spend it, and the record that it leaves: the values and ports of
// the money stages. Implemented in services/gateway over billing; thread-safe unless they say
// otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "gateway/ask.h"
#include "gateway/auth/key.h"
#include "gateway/budget/holdings.h"

namespace floe::gateway {

// Billable amounts; a token is counted in one of them.
struct UsageQuantities {
  int64_t input_tokens = 0;  // without the cached ones
  int64_t cached_input_tokens = 0;
  int64_t output_tokens = 0;
  int64_t cached_output_tokens = 0;  // out of the answer cache
  int64_t calls = 0;
  bool operator==(const UsageQuantities&) const = default;
};

struct CostLine {
  std::string kind;  // input, cached_input, output, cached_output, call, minimum, retrieval
  int64_t quantity = 0;
  std::string unit_price;  // decimal US dollars
  std::string amount;
};

struct Cost {
  Picos picos = 0;
  std::string dollars;  // the same, as decimal text: "0.00018"
  std::vector<CostLine> lines;
};

// What decides the price of a token.
struct PricedCall {
  std::string operation;  // `chat`, `completion`
  std::string model;      // `teams/nlp/models/hamlet`
  ServiceTier tier = ServiceTier::kDefault;
  bool retrieves = false;  // one search is charged with it, on a line `retrieval`
};

// One price book. Immutable; a request keeps the one that it resolved.
class PriceList {
 public:
  virtual ~PriceList() = default;
  virtual const std::string& name() const = 0;  // `priceBooks/2026-11`
  // FAILED_PRECONDITION (NO_PRICE) for what the book does not price: it cannot be charged.
  virtual absl::StatusOr<Cost> WorstCase(const PricedCall& call, int64_t input_tokens,
                                         int64_t max_output_tokens) const = 0;
  virtual absl::StatusOr<Cost> Charge(const PricedCall& call,
                                      const UsageQuantities& quantities) const = 0;
  // Decimal US dollars as IsDollarAmount() has them.
  virtual absl::StatusOr<Picos> Amount(std::string_view dollars) const = 0;
};

class Prices {
 public:
  virtual ~Prices() = default;
  // The book in force at `time`, from memory; shared with other requests. Null when this gateway
  // charges nothing. UNAVAILABLE (PRICES_UNAVAILABLE) before the first book is known.
  virtual absl::StatusOr<std::shared_ptr<const PriceList>> Resolve(absl::Time time) const = 0;
};

// Dollars that a policy allows, as decimal text → picodollars.
class Budgets {
 public:
  virtual ~Budgets() = default;
  // Room for `amount` in every budget that binds `spender`, or in none. RESOURCE_EXHAUSTED
  // (BUDGET_EXCEEDED) when one has too little left, UNAVAILABLE (BUDGET_UNAVAILABLE) when the
  // leased slices are used up and billing does not answer. A coroutine that is cancelled reserves
  // nothing.
  virtual boost::asio::awaitable<absl::StatusOr<Reservation>> Reserve(const Spender& spender,
                                                                      Picos amount) = 0;
  // Ends a reservation: `spent` of it was charged, the rest is free again. Never waits.
  virtual void Settle(const Reservation& reservation, Picos spent) noexcept = 0;
};

class WorkflowSteps {
 public:
  virtual ~WorkflowSteps() = default;
  // Counts one step of the team's workflow; RESOURCE_EXHAUSTED (WORKFLOW_STEPS_EXCEEDED) when it
  // would be more than `max_steps`, and then it is not counted.
  virtual boost::asio::awaitable<absl::Status> Count(const std::string& team,
                                                     const std::string& workflow,
                                                     int64_t max_steps) = 0;
};

enum class UsageOutcome { kCompleted, kDisconnected, kFailed, kBlocked };

// What the ledger is told about one request (floe.billing.v1.UsageEvent says what each field
// means).
struct UsageRecord {
  std::string usage_id;
  absl::Time time;
  Identity caller;
  PricedCall call;
  std::string model_version;
  std::string checkpoint_digest;
  std::string served_tier;
  std::string price_book;
  std::string policy_version;
  UsageQuantities quantities;
  int64_t arrived_tokens = 0;
  bool cache_hit = false;
  UsageOutcome outcome = UsageOutcome::kCompleted;
  WorkflowPlace workflow;
  std::map<std::string, std::string> tags;
  std::string request_id;
  std::string trace_id;
  absl::Duration queue_time;
  absl::Duration time_to_first_token;
  absl::Duration total_time;
  std::vector<std::string> slices;
  std::vector<std::string> receipts;
};

class UsageLog {
 public:
  virtual ~UsageLog() = default;

  // The request goes to a worker. If this process ends without another record of it, `record` is
  // told in its place. Nobody waits for the disk.
  virtual void Begin(UsageRecord record) noexcept = 0;
  // No worker took on what had begun, and no record of it will come.
  virtual void Drop(const std::string& usage_id) noexcept = 0;

  // A record on its way to the disk. Used by one coroutine; dropping it does not call the record
  // back.
  class Pending {
   public:
    virtual ~Pending() = default;
    // Ends when the record survives a crash, or with why it does not.
    virtual boost::asio::awaitable<absl::Status> Durable() = 0;
  };
  // Hands the record over at once: it is written even if nobody waits. `written` is called once, on
  // another thread, with how it went; it must not block. `waiter` is where Durable() is awaited.
  virtual std::unique_ptr<Pending> Append(UsageRecord record,
                                          std::function<void(const absl::Status&)> written,
                                          const boost::asio::any_io_executor& waiter) = 0;
  // The same, for those who cannot wait.
  virtual void AppendOnly(UsageRecord record,
                          std::function<void(const absl::Status&)> written) noexcept = 0;
};

}  // namespace floe::gateway
