#include "services/gateway/clients/budget_leases.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "base/error_reason.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "services/gateway/clients/handoff.h"

namespace floe::gateway {
namespace {

constexpr size_t kMaxWorkflows = 100'000;

// Billing did not answer, so nobody knows.
bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsInternal(status) || absl::IsUnknown(status);
}

// The slice is no longer ours to use.
bool IsClosed(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsNotFound(status);
}

absl::Status Unavailable(const absl::Status& why) {
  return WithReason(
      absl::UnavailableError(absl::StrCat(
          "the leased part of the budget is used up, and floe-billing does not answer (",
          why.message(), "); try again in a moment")),
      "BUDGET_UNAVAILABLE");
}

// 402: clients repeat a 429 by themselves, and repeating does not help here.
absl::Status Exceeded(const std::string& budget, std::string_view why) {
  return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                        budget, " has too little left for what this request may cost at most (",
                        std::string(why), "); lower max_tokens, or have the budget raised")),
                    "BUDGET_EXCEEDED", {{"http_status", "402"}, {"budget", budget}});
}

}  // namespace

// A request that waits for the thread.
struct BudgetLeases::Waiting {
  Spender spender;
  Picos amount = 0;
  std::function<void(absl::StatusOr<Reservation>)> give;
  // Guarded by the leases' mutex.
  bool left = false;                   // nobody waits any more
  std::optional<Reservation> granted;  // and not taken over yet
};

// Held by the coroutine: what was granted to one that is gone is freed again.
class BudgetLeases::Claim {
 public:
  Claim(BudgetLeases& leases, std::shared_ptr<Waiting> waiting)
      : leases_(leases), waiting_(std::move(waiting)) {}
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() {
    const std::lock_guard lock(leases_.mutex_);
    waiting_->left = true;
    if (waiting_->granted) leases_.holdings_.Settle(*waiting_->granted, 0);
  }
  void TakeOver() {
    const std::lock_guard lock(leases_.mutex_);
    waiting_->granted.reset();
  }

 private:
  BudgetLeases& leases_;
  const std::shared_ptr<Waiting> waiting_;  // shared with the thread
};

absl::StatusOr<std::unique_ptr<BudgetLeases>> BudgetLeases::Start(Options options,
                                                                  const Parts& parts) {
  std::set<std::string> former;
  absl::StatusOr<std::string> names = ReadFile(options.names_file);
  if (!names.ok() && !absl::IsNotFound(names.status())) return names.status();
  if (names.ok()) {
    for (const auto name : absl::StrSplit(*names, '\n', absl::SkipEmpty())) {
      former.emplace(name);
    }
  }
  return std::unique_ptr<BudgetLeases>(
      new BudgetLeases(std::move(options), parts, std::move(former)));
}

BudgetLeases::BudgetLeases(Options options, const Parts& parts, std::set<std::string> former)
    : options_(std::move(options)),
      parts_(parts),
      former_(std::move(former)),
      thread_([this] { Loop(); }) {}

BudgetLeases::~BudgetLeases() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  thread_.join();
}

boost::asio::awaitable<absl::StatusOr<Reservation>> BudgetLeases::Reserve(const Spender& spender,
                                                                          Picos amount) {
  const auto executor = co_await boost::asio::this_coro::executor;
  Handoff<absl::StatusOr<Reservation>> answer(executor);
  const auto waiting = std::make_shared<Waiting>();
  {
    const std::lock_guard lock(mutex_);
    const absl::Time now = parts_.clock.Now();
    Holdings::Outcome outcome = holdings_.Reserve(spender, amount, now, away_);
    if (holdings_.IsDue(spender, now) && refreshes_.try_emplace(spender.Key(), spender).second) {
      work_.notify_one();
    }
    if (auto* reservation = std::get_if<Reservation>(&outcome)) co_return std::move(*reservation);
    waiting->spender = spender;
    waiting->amount = amount;
    waiting->give = answer.giver();
    queue_.push_back(waiting);
  }
  work_.notify_one();
  Claim claim(*this, waiting);
  absl::StatusOr<Reservation> reservation = co_await answer.Take();
  claim.TakeOver();
  co_return reservation;
}

void BudgetLeases::Settle(const Reservation& reservation, Picos spent) noexcept {
  const std::lock_guard lock(mutex_);
  holdings_.Settle(reservation, spent);
}

void BudgetLeases::Loop() {
  absl::Duration next_look = parts_.clock.Monotonic();
  while (true) {
    std::deque<std::shared_ptr<Waiting>> round;
    std::map<std::string, Spender> refreshes;
    bool ending = false;
    {
      std::unique_lock lock(mutex_);
      work_.wait_for(lock, absl::ToChronoNanoseconds(options_.look_every), [this] {
        return ending_ || !queue_.empty() || (!refreshes_.empty() && !away_);
      });
      round.swap(queue_);
      refreshes.swap(refreshes_);
      ending = ending_;
    }
    Serve(std::move(round));
    for (const auto& [key, spender] : refreshes) {
      if (!Ask(spender).ok()) break;
    }
    if (ending || parts_.clock.Monotonic() >= next_look) {
      Maintain();
      next_look = parts_.clock.Monotonic() + options_.look_every;
    }
    if (ending) return;
  }
}

void BudgetLeases::Serve(std::deque<std::shared_ptr<Waiting>> round) {
  Refusals refusals;
  for (const std::shared_ptr<Waiting>& waiting : round) {
    {
      const std::lock_guard lock(mutex_);
      if (waiting->left) continue;
    }
    absl::StatusOr<Reservation> reservation = ReserveFor(*waiting, refusals);
    if (reservation.ok()) {
      const std::lock_guard lock(mutex_);
      if (waiting->left) {
        holdings_.Settle(*reservation, 0);
        continue;
      }
      waiting->granted = *reservation;
    }
    waiting->give(std::move(reservation));
  }
}

Holdings::Outcome BudgetLeases::TryReserve(const Spender& spender, Picos amount,
                                           bool accept_stale) {
  const std::lock_guard lock(mutex_);
  return holdings_.Reserve(spender, amount, parts_.clock.Now(), accept_stale);
}

absl::StatusOr<Reservation> BudgetLeases::ReserveFor(const Waiting& waiting, Refusals& refusals) {
  bool accept_stale = false;
  while (true) {
    const Holdings::Outcome outcome = TryReserve(waiting.spender, waiting.amount, accept_stale);
    if (const auto* reservation = std::get_if<Reservation>(&outcome)) return *reservation;
    if (const auto* shortage = std::get_if<Holdings::Shortage>(&outcome)) {
      if (const auto refusal = refusals.find(shortage->budget); refusal != refusals.end()) {
        return refusal->second;
      }
      const absl::Status grown = Grow(shortage->budget, shortage->missing);
      if (grown.ok()) continue;
      refusals[shortage->budget] = grown;
      return grown;
    }
    const absl::Status asked = Ask(waiting.spender);
    if (asked.ok()) continue;
    if (accept_stale || !IsAway(asked)) return IsAway(asked) ? Unavailable(asked) : asked;
    accept_stale = true;
  }
}

absl::Status BudgetLeases::Note(absl::Status status) {
  const bool away = IsAway(status);
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = away_ != away;
    away_ = away;
  }
  if (changed && away) {
    parts_.logger.Warning("billing does not answer; the leased slices are spent",
                          {{"error", status.ToString()}});
  } else if (changed) {
    parts_.logger.Info("billing answers again");
  }
  return status;
}

absl::Status BudgetLeases::Ask(const Spender& spender) {
  const std::string& cost = spender.workflow_max_cost;
  const bool own_budget = !spender.workflow_id.empty() && !cost.empty() && cost != "0";
  const std::string workflow = absl::StrCat(spender.team, "/", spender.workflow_id);
  if (own_budget && !workflows_.contains(workflow)) {
    FLOE_RETURN_IF_ERROR(Note(parts_.billing.EnsureWorkflowBudget(spender)));
    if (workflows_.size() >= kMaxWorkflows) workflows_.clear();
    workflows_.insert(workflow);
  }
  const auto bound = parts_.billing.Applicable(spender);
  FLOE_RETURN_IF_ERROR(Note(bound.status()));
  std::vector<std::string> names;
  for (const BoundBudget& budget : *bound) {
    limits_[budget.name] = budget.limit;
    names.push_back(budget.name);
  }
  const std::lock_guard lock(mutex_);
  holdings_.Bind(spender, std::move(names), parts_.clock.Now());
  return absl::OkStatus();
}

Picos BudgetLeases::UsualSlice(const std::string& budget) const {
  const auto limit = limits_.find(budget);
  return limit == limits_.end() ? 0 : limit->second / options_.slices_a_budget;
}

absl::Status BudgetLeases::Grow(const std::string& budget, Picos missing) {
  const Picos wanted = std::max(missing, UsualSlice(budget));
  std::string slice;
  Picos before = 0;
  {
    const std::lock_guard lock(mutex_);
    slice = holdings_.Growable(budget, parts_.clock.Now());
    before = holdings_.AmountOf(slice);
  }
  if (slice.empty()) return Acquire(budget, missing, wanted);
  const auto renewed = parts_.billing.Renew(slice, options_.lease, wanted);
  const absl::Status status = Note(renewed.status());
  if (IsClosed(status)) {
    {
      const std::lock_guard lock(mutex_);
      holdings_.Close(slice);
    }
    return Acquire(budget, missing, wanted);
  }
  if (IsAway(status)) return Unavailable(status);
  if (!status.ok()) return status;
  {
    const std::lock_guard lock(mutex_);
    holdings_.Put(budget, renewed->slice);
  }
  if (renewed->slice.amount - before >= missing) return absl::OkStatus();
  return Exceeded(budget, "the rest is spent, or held by requests that still run");
}

absl::Status BudgetLeases::Acquire(const std::string& budget, Picos missing, Picos wanted) {
  const auto slice = parts_.billing.Acquire(budget, wanted, options_.lease, parts_.ids.Next());
  const absl::Status status = Note(slice.status());
  if (IsAway(status)) return Unavailable(status);
  if (absl::IsResourceExhausted(status) || absl::IsNotFound(status)) {
    return Exceeded(budget, std::string(status.message()));
  }
  if (!status.ok()) return status;
  open_.insert(slice->slice.name);
  const absl::Status saved = SaveNames();
  if (!saved.ok()) {
    open_.erase(slice->slice.name);
    parts_.billing.Return(slice->slice.name, 0).IgnoreError();
    return Unavailable(saved);
  }
  {
    const std::lock_guard lock(mutex_);
    holdings_.Put(budget, slice->slice);
  }
  if (slice->slice.amount >= missing) return absl::OkStatus();
  return Exceeded(budget, "the rest is spent, or held by requests that still run");
}

void BudgetLeases::Maintain() {
  std::vector<Holdings::SliceView> slices;
  {
    const std::lock_guard lock(mutex_);
    slices = holdings_.Slices();
  }
  for (const Holdings::SliceView& slice : slices) MaintainSlice(slice);
  if (!former_.empty() && options_.replayed()) GiveBackFormer();
}

void BudgetLeases::MaintainSlice(const Holdings::SliceView& slice) {
  const absl::Time now = parts_.clock.Now();
  const bool over = slice.closed || now >= slice.expire_time;
  const bool idle = now - slice.last_used >= options_.lease / 2;
  const bool ends_soon = slice.expire_time - now < options_.lease / 2;
  bool ending = false;
  {
    const std::lock_guard lock(mutex_);
    ending = ending_;
    // From here on nobody reserves in it, so that what it spent is final.
    const bool give_back = over || ending || (ends_soon && idle);
    if (give_back) holdings_.Close(slice.name);
    if (give_back && holdings_.ReservedIn(slice.name) > 0) return;
    if (!give_back && !ends_soon) return;
  }
  if (over || ending || idle) {
    Picos spent = 0;
    {
      const std::lock_guard lock(mutex_);
      spent = holdings_.SpentIn(slice.name);
    }
    GiveBack(slice.name, spent);
    return;
  }
  const auto renewed = parts_.billing.Renew(slice.name, options_.lease, 0);
  const absl::Status status = Note(renewed.status());
  const std::lock_guard lock(mutex_);
  if (IsClosed(status)) holdings_.Close(slice.name);
  if (status.ok()) holdings_.Put(slice.budget, renewed->slice);
}

void BudgetLeases::GiveBack(const std::string& slice, Picos spent) {
  const absl::Status status = Note(parts_.billing.Return(slice, spent));
  if (!status.ok() && !IsClosed(status)) return;  // tried again with the next look
  {
    const std::lock_guard lock(mutex_);
    holdings_.Remove(slice);
  }
  open_.erase(slice);
  SaveNames().IgnoreError();  // a name too many is given back again, which is harmless
}

void BudgetLeases::GiveBackFormer() {
  for (auto name = former_.begin(); name != former_.end();) {
    // Everything that names it was delivered, so what billing settled is what it spent.
    const auto slice = parts_.billing.Renew(*name, absl::Seconds(1), 0);
    absl::Status status = Note(slice.status());
    if (status.ok()) status = Note(parts_.billing.Return(*name, slice->settled));
    if (!status.ok() && !IsClosed(status)) return;
    name = former_.erase(name);
  }
  SaveNames().IgnoreError();
}

absl::Status BudgetLeases::SaveNames() {
  std::vector<std::string> names(open_.begin(), open_.end());
  names.insert(names.end(), former_.begin(), former_.end());
  return WriteFileAtomically(options_.names_file, absl::StrJoin(names, "\n"));
}

}  // namespace floe::gateway
