// Budgets by slices on lease from billing: most requests reserve in memory, and billing is asked
// only when a slice runs low.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "base/id.h"
#include "gateway/accounting.h"
#include "services/gateway/clients/budget_rpc_client.h"
#include "services/runtime/logging.h"

namespace floe::gateway {

// Thread-safe. Borrows its parts. All calls of billing are made by one thread, one after another:
// of many requests that find a slice empty, the first makes it grow and the others find room, or
// the same refusal.
class BudgetLeases final : public Budgets {
 public:
  struct Options {
    // The names of open slices, for the process after this one. A slice is not used before its name
    // is on disk.
    std::filesystem::path names_file;
    absl::Duration lease = absl::Minutes(10);
    // A slice is a tenth of its budget, or what a request needs if that is more: little enough for
    // several gateways, and enough to go on with while billing is away.
    int64_t slices_a_budget = 10;
    absl::Duration look_every = absl::Seconds(1);
    // Whether the journal that this process found has been delivered: only then is it known what
    // the slices of the process before spent.
    std::function<bool()> replayed = [] { return true; };
  };
  struct Parts {
    BudgetRpcClient& billing;
    const Clock& clock;
    IdGenerator& ids;
    const runtime::Logger& logger;
  };
  static absl::StatusOr<std::unique_ptr<BudgetLeases>> Start(Options options, const Parts& parts);
  // Gives back what no request has reserved.
  ~BudgetLeases() override;

  boost::asio::awaitable<absl::StatusOr<Reservation>> Reserve(const Spender& spender,
                                                              Picos amount) override;
  void Settle(const Reservation& reservation, Picos spent) noexcept override;

 private:
  struct Waiting;
  class Claim;
  using Refusals = std::map<std::string, absl::Status>;  // by budget, in one round

  BudgetLeases(Options options, const Parts& parts, std::set<std::string> former);
  void Loop();
  void Serve(std::deque<std::shared_ptr<Waiting>> round);
  absl::StatusOr<Reservation> ReserveFor(const Waiting& waiting, Refusals& refusals);
  Holdings::Outcome TryReserve(const Spender& spender, Picos amount, bool accept_stale);
  // Which budgets bind the spender.
  absl::Status Ask(const Spender& spender);
  // More room in a budget; an error when it is less than `missing`.
  absl::Status Grow(const std::string& budget, Picos missing);
  absl::Status Acquire(const std::string& budget, Picos missing, Picos wanted);
  void Maintain();
  void MaintainSlice(const Holdings::SliceView& slice);
  void GiveBack(const std::string& slice, Picos spent);
  void GiveBackFormer();
  Picos UsualSlice(const std::string& budget) const;
  // Remembers whether billing answers.
  absl::Status Note(absl::Status status);
  absl::Status SaveNames();

  const Options options_;
  const Parts parts_;

  mutable std::mutex mutex_;
  std::condition_variable work_;
  Holdings holdings_;                           // guarded by mutex_
  std::deque<std::shared_ptr<Waiting>> queue_;  // guarded by mutex_
  std::map<std::string, Spender> refreshes_;    // guarded by mutex_; bindings that grow old
  bool away_ = false;                           // guarded by mutex_: billing did not answer
  bool ending_ = false;                         // guarded by mutex_

  // The thread's own.
  std::map<std::string, Picos> limits_;  // by budget
  std::set<std::string> workflows_;      // whose budgets are known to exist
  std::set<std::string> open_;           // names of slices
  std::set<std::string> former_;         // of the process before
  std::thread thread_;
};

}  // namespace floe::gateway
