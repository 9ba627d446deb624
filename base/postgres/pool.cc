#include "base/postgres/pool.h"

#include <chrono>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/postgres/status.h"
#include "base/status_macros.h"

namespace floe::postgres {
namespace {

constexpr char kTransaction[] = "Postgres transaction";

// A server that drops packets must not hold a caller for minutes. Placed first, so that the DSN's
// own setting wins; URLs are left as they are.
std::string WithConnectTimeout(const std::string& dsn) {
  return absl::StrContains(dsn, "://") ? dsn : absl::StrCat("connect_timeout=5 ", dsn);
}

// Conflicts resolve in microseconds to milliseconds; a spread by thread keeps two rivals apart.
void Backoff(int attempt) {
  const size_t spread = std::hash<std::thread::id>()(std::this_thread::get_id()) % 8;
  std::this_thread::sleep_for(std::chrono::milliseconds((1u << attempt) + spread));
}

}  // namespace

class Pool::Connection {
 public:
  explicit Connection(const Options& options) : connection_(WithConnectTimeout(options.dsn)) {
    // A connection that broke stays broken: pqxx's own silent reconnection would lose the settings
    // below and hide that a transaction was cut. (Deprecated because libpqxx 7 never reconnects.)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    connection_.inhibit_reactivation(true);
#pragma GCC diagnostic pop
    pqxx::nontransaction settings(connection_);
    settings.exec_params(
        "SELECT set_config('statement_timeout', $1, false), set_config('application_name', $2, "
        "false)",
        std::to_string(absl::ToInt64Milliseconds(options.statement_timeout)),
        options.application_name);
  }

  pqxx::connection& get() { return connection_; }
  bool used() const { return used_; }
  void set_used() { used_ = true; }

 private:
  pqxx::connection connection_;
  bool used_ = false;  // has run a transaction: may have died while idle
};

// Returns its connection to the pool; a broken one is dropped.
class Pool::Lease {
 public:
  Lease(Pool& pool, std::unique_ptr<Connection> connection)
      : pool_(&pool), connection_(std::move(connection)) {}
  Lease(Lease&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)) {}
  Lease& operator=(Lease&& other) = delete;
  ~Lease() {
    if (pool_ != nullptr) pool_->Release(std::move(connection_));
  }
  Connection& connection() { return *connection_; }

 private:
  Pool* pool_;
  std::unique_ptr<Connection> connection_;
};

absl::StatusOr<std::unique_ptr<Pool>> Pool::Create(Options options) {
  if (options.dsn.empty()) {
    return absl::InvalidArgumentError(
        "no database is configured; set the connection string (FLOE_DATABASE_URL)");
  }
  if (options.max_connections < 1 || options.max_attempts < 1) {
    return absl::InvalidArgumentError("a Postgres pool needs at least 1 connection and 1 attempt");
  }
  return std::unique_ptr<Pool>(new Pool(std::move(options)));
}

Pool::Pool(Options options) : options_(std::move(options)) {}
Pool::~Pool() = default;

absl::StatusOr<Pool::Lease> Pool::Acquire() {
  {
    std::unique_lock lock(mutex_);
    const auto free = [this] { return !idle_.empty() || stats_.open < options_.max_connections; };
    ++stats_.waiting;
    const bool got =
        released_.wait_for(lock, absl::ToChronoMilliseconds(options_.acquire_timeout), free);
    --stats_.waiting;
    if (!got) {
      ++stats_.exhausted;
      return WithReason(
          absl::ResourceExhaustedError(absl::StrCat("all ", options_.max_connections,
                                                    " Postgres connections were busy for ",
                                                    absl::FormatDuration(options_.acquire_timeout),
                                                    "; try again, or raise the pool's size")),
          "POSTGRES_POOL_EXHAUSTED");
    }
    if (!idle_.empty()) {
      Lease lease(*this, std::move(idle_.back()));  // the most recently used is the likeliest alive
      idle_.pop_back();
      return lease;
    }
    ++stats_.open;
  }
  try {
    return Lease(*this, std::make_unique<Connection>(options_));
  } catch (const std::exception& error) {
    Release(nullptr);
    return StatusFrom(error, "cannot connect to Postgres");
  }
}

void Pool::Release(std::unique_ptr<Connection> connection) {
  const bool alive = connection != nullptr && connection->get().is_open();
  {
    std::lock_guard lock(mutex_);
    if (alive) {
      idle_.push_back(std::move(connection));
    } else {
      --stats_.open;
    }
  }
  released_.notify_one();
}

absl::Status Pool::Attempt(Connection& connection,
                           absl::FunctionRef<absl::Status(pqxx::transaction_base&)> fn,
                           Isolation isolation, bool& began) {
  const auto in = [&](pqxx::transaction_base& sql) {
    began = true;
    const absl::Status status = fn(sql);
    if (status.ok()) sql.commit();
    return status;
  };
  try {
    switch (isolation) {
      case Isolation::kReadCommitted: {
        pqxx::transaction<pqxx::read_committed> sql(connection.get());
        return in(sql);
      }
      case Isolation::kRepeatableRead: {
        pqxx::transaction<pqxx::repeatable_read> sql(connection.get());
        return in(sql);
      }
      case Isolation::kSerializable: {
        pqxx::transaction<pqxx::serializable> sql(connection.get());
        return in(sql);
      }
    }
    return absl::InternalError("no such isolation level");
  } catch (const std::exception& error) {
    return StatusFrom(error, kTransaction);
  }
}

absl::Status Pool::Run(absl::FunctionRef<absl::Status(pqxx::transaction_base&)> fn,
                       Isolation isolation) {
  for (int attempt = 1;;) {
    bool began = false;
    bool reused = false;
    absl::Status status;
    {
      FLOE_ASSIGN_OR_RETURN(Lease lease, Acquire());
      reused = lease.connection().used();
      lease.connection().set_used();
      status = Attempt(lease.connection(), fn, isolation, began);
    }
    if (status.ok()) return status;
    // Died while idle: nothing has happened yet, and each round drops one such connection, so this
    // ends.
    if (!began && reused && absl::IsUnavailable(status)) continue;
    const auto reason = ReasonOf(status);
    if (!reason || reason->reason != "POSTGRES_CONFLICT" || attempt >= options_.max_attempts) {
      return status;
    }
    Backoff(attempt++);
  }
}

absl::Status Pool::Ping() {
  return Run([](pqxx::transaction_base& sql) {
    sql.exec("SELECT 1");
    return absl::OkStatus();
  });
}

Pool::Stats Pool::stats() const {
  std::lock_guard lock(mutex_);
  Stats stats = stats_;
  stats.idle = static_cast<int>(idle_.size());
  return stats;
}

}  // namespace floe::postgres
