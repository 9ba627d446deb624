// What this gateway holds of budgets: slices on lease, and what running requests have reserved in
// them. Pure arithmetic; whoever uses it brings the lock, the clock and the slices.
//
//   free = amount - spent - reserved        in each slice, never negative
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"

namespace floe::gateway {

using Picos = __int128;  // 10^-12 US dollars

// Whose spending: every budget of the four binds.
struct Spender {
  std::string tenant;
  std::string team;
  std::string key_id;
  std::string workflow_id;        // empty: none
  std::string workflow_max_cost;  // the policy's, in decimal US dollars; empty: none

  std::string Key() const;  // one text a spender
};

// A part of a budget that belongs to one request until it is settled.
struct Reservation {
  absl::Time time;  // when: decides the day and the budgets' period
  Picos amount = 0;
  std::vector<std::string> slices;  // `budgets/{budget}/slices/{slice}`; none: nothing binds
};

struct LeasedSlice {
  std::string name;
  Picos amount = 0;
  absl::Time expire_time;  // nothing is reserved in it from then on
};

// Not thread-safe.
class Holdings {
 public:
  // How long an answer to "which budgets bind this spender" is good, and how long it serves while
  // billing is away.
  struct Options {
    absl::Duration renew_after = absl::Seconds(2);  // ask again, and go on with the old answer
    absl::Duration fresh_for = absl::Seconds(30);
    absl::Duration stale_for = absl::Hours(1);
    size_t max_spenders = 20'000;
  };
  Holdings() = default;
  explicit Holdings(Options options) : options_(options) {}

  // What keeps a request from its reservation.
  struct UnknownSpender {};  // ask which budgets bind it
  struct Shortage {
    std::string budget;  // the first that has too little
    Picos missing = 0;   // beyond what the slices have free
  };
  using Outcome = std::variant<Reservation, UnknownSpender, Shortage>;
  // All of the budgets, or none. `accept_stale`: billing is away, so the last answer counts.
  Outcome Reserve(const Spender& spender, Picos amount, absl::Time now, bool accept_stale = false);
  void Settle(const Reservation& reservation, Picos spent);

  // The budgets that bind a spender, as asked at `now`.
  void Bind(const Spender& spender, std::vector<std::string> budgets, absl::Time now);
  // A new slice, or an old one with a new amount or lease.
  void Put(const std::string& budget, const LeasedSlice& slice);
  // Billing says that the slice is no longer open: nothing more is reserved in it.
  void Close(const std::string& slice);
  // Given back: forgotten.
  void Remove(const std::string& slice);

  // The slice to grow: open, the longest lease. Empty: acquire one.
  std::string Growable(const std::string& budget, absl::Time now) const;
  Picos FreeIn(const std::string& budget, absl::Time now) const;
  // Of one slice; zero for one that is not here.
  Picos AmountOf(const std::string& slice) const;
  Picos SpentIn(const std::string& slice) const;
  Picos ReservedIn(const std::string& slice) const;
  // Whether it is time to ask again which budgets bind the spender.
  bool IsDue(const Spender& spender, absl::Time now) const;

  struct SliceView {
    std::string name;
    std::string budget;
    Picos amount = 0;
    Picos spent = 0;
    Picos reserved = 0;
    absl::Time expire_time;
    absl::Time last_used;
    bool closed = false;
  };
  std::vector<SliceView> Slices() const;

 private:
  struct Binding {
    std::vector<std::string> budgets;
    absl::Time asked;
  };
  const SliceView* Find(const std::string& slice) const;
  SliceView* PickIn(const std::string& budget, Picos amount, absl::Time now);

  Options options_;
  std::map<std::string, Binding> bindings_;            // by Spender::Key()
  std::map<std::string, SliceView> slices_;            // by name
  std::multimap<std::string, std::string> slices_of_;  // budget → slice names
};

}  // namespace floe::gateway
