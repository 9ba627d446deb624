// A bounded pool of Postgres connections, and transactions that are retried where that is safe.
//
//   absl::StatusOr<int> count = pool.Transaction([&](pqxx::transaction_base& sql)
//       -> absl::StatusOr<int> { return sql.exec_params1(kCount, team)[0].as<int>(); });
//
// For `*/postgres/` adapters only: callers include <pqxx/pqxx> themselves and show no pqxx type in
// their own headers.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace pqxx {
class transaction_base;
}  // namespace pqxx

namespace floe::postgres {

enum class Isolation { kReadCommitted, kRepeatableRead, kSerializable };

// Thread-safe. Must outlive every transaction. Connections are opened on demand and found dead ones
// replaced, so a pool survives the server's restart.
class Pool {
 public:
  struct Options {
    std::string dsn;                        // libpq connection string; a secret
    std::string application_name = "floe";  // shown in pg_stat_activity
    int max_connections = 8;
    absl::Duration acquire_timeout = absl::Seconds(5);     // wait for a free connection
    absl::Duration statement_timeout = absl::Seconds(30);  // enforced by the server
    int max_attempts = 5;                                  // of a transaction that meets a conflict
  };

  struct Stats {
    int open = 0;
    int idle = 0;
    int waiting = 0;
    int64_t exhausted = 0;  // acquisitions that gave up
  };

  // Checks the options, opens no connection: a service starts while its database is still coming
  // up.
  static absl::StatusOr<std::unique_ptr<Pool>> Create(Options options);
  ~Pool();

  // Runs `fn` inside a transaction and commits when it returns OK; any other status rolls back and
  // is returned. pqxx exceptions thrown by `fn` become a Status (postgres/status.h). Runs `fn`
  // again on serialization failures, deadlocks, and when an idle connection turns out dead before
  // the first statement; so `fn` must have no effect outside the transaction that may not be
  // repeated. No free connection in time: RESOURCE_EXHAUSTED, POSTGRES_POOL_EXHAUSTED.
  absl::Status Run(absl::FunctionRef<absl::Status(pqxx::transaction_base&)> fn,
                   Isolation isolation = Isolation::kReadCommitted);

  // The same for functions that return absl::Status or absl::StatusOr<T>.
  template <typename Fn>
  auto Transaction(Fn&& fn, Isolation isolation = Isolation::kReadCommitted)
      -> std::invoke_result_t<Fn, pqxx::transaction_base&> {
    using Result = std::invoke_result_t<Fn, pqxx::transaction_base&>;
    if constexpr (std::is_same_v<Result, absl::Status>) {
      return Run(fn, isolation);
    } else {
      std::optional<Result> result;
      absl::Status status = Run(
          [&](pqxx::transaction_base& sql) {
            result.emplace(fn(sql));
            return result->status();
          },
          isolation);
      if (!status.ok()) return status;
      return *std::move(result);
    }
  }

  // One round trip: is the database there? For readiness checks.
  absl::Status Ping();

  Stats stats() const;
  const Options& options() const { return options_; }

 private:
  class Connection;
  class Lease;

  explicit Pool(Options options);
  absl::StatusOr<Lease> Acquire();
  void Release(std::unique_ptr<Connection> connection);
  absl::Status Attempt(Connection& connection,
                       absl::FunctionRef<absl::Status(pqxx::transaction_base&)> fn,
                       Isolation isolation, bool& began);

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable released_;
  std::vector<std::unique_ptr<Connection>> idle_;  // guarded by mutex_
  Stats stats_;                                    // guarded by mutex_
};

}  // namespace floe::postgres
