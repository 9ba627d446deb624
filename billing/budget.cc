#include "billing/budget.h"

#include <algorithm>
#include <array>
#include <span>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::billing {
namespace {

constexpr std::array<std::string_view, 3> kPeriods = {"day", "month", "total"};
constexpr std::array<std::string_view, 4> kScopes = {"tenant", "team", "key", "workflow"};
constexpr std::array<std::string_view, 3> kSliceStates = {"open", "returned", "written_off"};

template <typename T>
absl::StatusOr<T> Parse(std::string_view text, std::span<const std::string_view> names,
                        std::string_view what) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<T>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", AbslView(text.substr(0, 50)), "\" is no ", AbslView(what)));
}

}  // namespace

std::string_view Name(Period period) { return kPeriods[static_cast<size_t>(period)]; }
std::string_view Name(Scope scope) { return kScopes[static_cast<size_t>(scope)]; }
std::string_view Name(SliceState state) { return kSliceStates[static_cast<size_t>(state)]; }
absl::StatusOr<Period> ParsePeriod(std::string_view text) {
  return Parse<Period>(text, kPeriods, "budget period");
}
absl::StatusOr<Scope> ParseScope(std::string_view text) {
  return Parse<Scope>(text, kScopes, "budget scope");
}
absl::StatusOr<SliceState> ParseSliceState(std::string_view text) {
  return Parse<SliceState>(text, kSliceStates, "slice state");
}

PeriodBounds BoundsOf(Period period, absl::Time time) {
  const absl::TimeZone utc = absl::UTCTimeZone();
  switch (period) {
    case Period::kDay: {
      const absl::CivilDay day = absl::ToCivilDay(time, utc);
      return {absl::FromCivil(day, utc), absl::FromCivil(day + 1, utc)};
    }
    case Period::kMonth: {
      const absl::CivilMonth month = absl::ToCivilMonth(time, utc);
      return {absl::FromCivil(month, utc), absl::FromCivil(month + 1, utc)};
    }
    case Period::kTotal:
      break;
  }
  return {absl::UnixEpoch(), absl::InfiniteFuture()};
}

std::string Subject::Key() const {
  switch (scope) {
    case Scope::kTenant:
      return absl::StrCat("tenant/", tenant);
    case Scope::kTeam:
      return absl::StrCat("team/", team);
    case Scope::kKey:
      return absl::StrCat("key/", team, "/", id);
    case Scope::kWorkflow:
      return absl::StrCat("workflow/", team, "/", id);
  }
  return "";
}

std::vector<std::string> SubjectKeysOf(std::string_view tenant, std::string_view team,
                                       std::string_view key, std::string_view workflow_id) {
  std::vector<std::string> keys = {absl::StrCat("tenant/", AbslView(tenant)),
                                   absl::StrCat("team/", AbslView(team))};
  if (!key.empty()) keys.push_back(absl::StrCat("key/", AbslView(team), "/", AbslView(key)));
  if (!workflow_id.empty()) {
    keys.push_back(absl::StrCat("workflow/", AbslView(team), "/", AbslView(workflow_id)));
  }
  return keys;
}

absl::StatusOr<Money> Free(Money limit, const BudgetState& state) {
  FLOE_ASSIGN_OR_RETURN(const Money taken, Add(state.spent, state.held));
  FLOE_ASSIGN_OR_RETURN(const Money free, Subtract(limit, taken));
  return std::max(free, Money());
}

absl::StatusOr<Money> Grant(const Budget& budget, const BudgetState& state, Money wanted,
                            Money minimum) {
  if (wanted <= Money() || minimum <= Money() || minimum > wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat("a slice of ", wanted.ToDollars(), " (at least ", minimum.ToDollars(),
                     ") dollars: both must be above zero, and the first not below the second"));
  }
  FLOE_ASSIGN_OR_RETURN(const Money free, Free(budget.limit, state));
  if (free >= minimum) return std::min(free, wanted);
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          "budget ", budget.id, " has $", free.ToDollars(), " left of $", budget.limit.ToDollars(),
          " (spent $", state.spent.ToDollars(), ", reserved $", state.held.ToDollars(), "), $",
          minimum.ToDollars(), " is needed; raise its limit or wait for the next period")),
      "BUDGET_EXHAUSTED",
      {{"budget", absl::StrCat("budgets/", budget.id)},
       {"limit", budget.limit.ToString()},
       {"spent", state.spent.ToString()},
       {"held", state.held.ToString()}});
}

absl::StatusOr<Money> HeldBy(const Slice& slice) {
  if (slice.state == SliceState::kWrittenOff) return Money();
  const Money whole = slice.state == SliceState::kOpen ? slice.amount : slice.spent;
  FLOE_ASSIGN_OR_RETURN(const Money rest, Subtract(whole, slice.settled));
  return std::max(rest, Money());
}

absl::Time LeaseEnd(const PeriodBounds& bounds, absl::Time now, absl::Duration lease) {
  if (lease <= absl::ZeroDuration()) lease = kDefaultLease;
  return std::min(now + std::min(lease, kMaxLease), bounds.end);
}

}  // namespace floe::billing
