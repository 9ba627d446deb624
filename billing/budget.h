// Budgets as arithmetic: what is spent, what is held, what may still be given out. Pure functions;
// the database runs them under a lock on the budget's period.
//
//   spent + held <= limit     held = what open slices could still spend
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/money/money.h"
#include "billing/usage_event.h"

namespace floe::billing {

enum class Period : uint8_t { kDay, kMonth, kTotal };
std::string_view Name(Period period);  // day, month, total
absl::StatusOr<Period> ParsePeriod(std::string_view text);

struct PeriodBounds {
  absl::Time start;  // the epoch for kTotal
  absl::Time end;    // the infinite future for kTotal
};
// The calendar period, in UTC, that `time` lies in. Counters are keyed by its start, so that a new
// period begins at zero with nothing to reset.
PeriodBounds BoundsOf(Period period, absl::Time time);

enum class Scope : uint8_t { kTenant, kTeam, kKey, kWorkflow };
std::string_view Name(Scope scope);  // tenant, team, key, workflow
absl::StatusOr<Scope> ParseScope(std::string_view text);

// Whose spending.
struct Subject {
  Scope scope = Scope::kTeam;
  std::string tenant;  // kTenant
  std::string team;    // all others
  std::string id;      // of the key or workflow

  // One text a subject: `tenant/acme`, `team/nlp`, `key/nlp/01J…`, `workflow/nlp/w1`.
  std::string Key() const;
  bool operator==(const Subject&) const = default;
};

// The subjects that an event or a request counts for, as Subject::Key.
std::vector<std::string> SubjectKeysOf(std::string_view tenant, std::string_view team,
                                       std::string_view key, std::string_view workflow_id);

struct Budget {
  std::string id;
  std::string display_name;
  Subject subject;
  Period period = Period::kMonth;
  Money limit;
  std::string etag;
  absl::Time create_time;
  std::string creator;       // the id of the key
  std::string creator_team;  // its team; empty: a service of the fleet
};

struct BudgetState {
  PeriodBounds bounds;
  Money spent;  // charges less credits
  Money held;
};

// limit - spent - held, never negative.
absl::StatusOr<Money> Free(Money limit, const BudgetState& state);

// What to give when `wanted` is asked for: all of it, or what is free when that is at least
// `minimum`. RESOURCE_EXHAUSTED, BUDGET_EXHAUSTED, says what is spent and held.
absl::StatusOr<Money> Grant(const Budget& budget, const BudgetState& state, Money wanted,
                            Money minimum);

enum class SliceState : uint8_t { kOpen, kReturned, kWrittenOff };
std::string_view Name(SliceState state);  // open, returned, written_off
absl::StatusOr<SliceState> ParseSliceState(std::string_view text);

// A part of a budget on lease to a gateway.
struct Slice {
  std::string id;
  std::string budget;
  std::string gateway;
  absl::Time period_start;
  Money amount;
  Money settled;  // charged to it so far, credits not taken off: what the gateway reserved for
  Money spent;    // kReturned: what its gateway says that it charged in all
  absl::Time expire_time;
  SliceState state = SliceState::kOpen;
  std::string reason;
};

// What the slice keeps from others. An open one: what it has not settled, also after its lease,
// since a dead gateway's journal may hold charges. A returned one: charges still on their way.
// Nothing once written off.
absl::StatusOr<Money> HeldBy(const Slice& slice);

inline constexpr absl::Duration kDefaultLease = absl::Minutes(1);
inline constexpr absl::Duration kMaxLease = absl::Hours(1);
// When a lease taken now ends: never after the period, so that nobody reserves in a past one.
absl::Time LeaseEnd(const PeriodBounds& bounds, absl::Time now, absl::Duration lease);

}  // namespace floe::billing
