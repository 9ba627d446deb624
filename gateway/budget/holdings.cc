#include "gateway/budget/holdings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace floe::gateway {
namespace {

Picos FreeOf(const Holdings::SliceView& slice) {
  return std::max<Picos>(0, slice.amount - slice.spent - slice.reserved);
}

bool IsOpen(const Holdings::SliceView& slice, absl::Time now) {
  return !slice.closed && now < slice.expire_time;
}

}  // namespace

// Ids hold no line breaks, so no two spenders have one key.
std::string Spender::Key() const {
  return absl::StrCat(tenant, "\n", team, "\n", key_id, "\n", workflow_id);
}

Holdings::SliceView* Holdings::PickIn(const std::string& budget, Picos amount, absl::Time now) {
  const auto [begin, end] = slices_of_.equal_range(budget);
  SliceView* best = nullptr;
  for (auto entry = begin; entry != end; ++entry) {
    SliceView& slice = slices_.at(entry->second);
    if (!IsOpen(slice, now) || FreeOf(slice) < amount) continue;
    // The fullest that fits: small rests are used up, and one slice can be given back.
    if (best == nullptr || FreeOf(slice) < FreeOf(*best)) best = &slice;
  }
  return best;
}

Holdings::Outcome Holdings::Reserve(const Spender& spender, Picos amount, absl::Time now,
                                    bool accept_stale) {
  const auto binding = bindings_.find(spender.Key());
  const absl::Duration good_for = accept_stale ? options_.stale_for : options_.fresh_for;
  if (binding == bindings_.end() || now - binding->second.asked > good_for) {
    return UnknownSpender{};
  }
  std::vector<SliceView*> picked;
  for (const std::string& budget : binding->second.budgets) {
    SliceView* slice = PickIn(budget, amount, now);
    if (slice == nullptr) {
      const std::string growable = Growable(budget, now);
      const Picos free = growable.empty() ? 0 : FreeOf(slices_.at(growable));
      return Shortage{budget, amount - free};
    }
    picked.push_back(slice);
  }
  Reservation reservation{.time = now, .amount = amount};
  for (SliceView* slice : picked) {
    slice->reserved += amount;
    slice->last_used = now;
    reservation.slices.push_back(slice->name);
  }
  return reservation;
}

void Holdings::Settle(const Reservation& reservation, Picos spent) {
  for (const std::string& name : reservation.slices) {
    const auto slice = slices_.find(name);
    if (slice == slices_.end()) continue;
    slice->second.reserved -= reservation.amount;
    slice->second.spent += spent;
  }
}

void Holdings::Bind(const Spender& spender, std::vector<std::string> budgets, absl::Time now) {
  if (bindings_.size() >= options_.max_spenders) {
    std::erase_if(bindings_,
                  [&](const auto& entry) { return now - entry.second.asked > options_.fresh_for; });
    if (bindings_.size() >= options_.max_spenders) bindings_.clear();
  }
  bindings_[spender.Key()] = {std::move(budgets), now};
}

void Holdings::Put(const std::string& budget, const LeasedSlice& slice) {
  const auto [entry, is_new] = slices_.try_emplace(slice.name);
  if (is_new) {
    entry->second.name = slice.name;
    entry->second.budget = budget;
    slices_of_.emplace(budget, slice.name);
  }
  entry->second.amount = slice.amount;
  entry->second.expire_time = slice.expire_time;
}

void Holdings::Close(const std::string& slice) {
  const auto entry = slices_.find(slice);
  if (entry != slices_.end()) entry->second.closed = true;
}

void Holdings::Remove(const std::string& slice) {
  const auto entry = slices_.find(slice);
  if (entry == slices_.end()) return;
  const auto [begin, end] = slices_of_.equal_range(entry->second.budget);
  const auto name = std::find_if(begin, end, [&](const auto& of) { return of.second == slice; });
  if (name != end) slices_of_.erase(name);
  slices_.erase(entry);
}

std::string Holdings::Growable(const std::string& budget, absl::Time now) const {
  const auto [begin, end] = slices_of_.equal_range(budget);
  const SliceView* best = nullptr;
  for (auto entry = begin; entry != end; ++entry) {
    const SliceView& slice = slices_.at(entry->second);
    if (!IsOpen(slice, now)) continue;
    if (best == nullptr || slice.expire_time > best->expire_time) best = &slice;
  }
  return best == nullptr ? "" : best->name;
}

Picos Holdings::FreeIn(const std::string& budget, absl::Time now) const {
  const auto [begin, end] = slices_of_.equal_range(budget);
  Picos free = 0;
  for (auto entry = begin; entry != end; ++entry) {
    const SliceView& slice = slices_.at(entry->second);
    if (IsOpen(slice, now)) free += FreeOf(slice);
  }
  return free;
}

const Holdings::SliceView* Holdings::Find(const std::string& slice) const {
  const auto entry = slices_.find(slice);
  return entry == slices_.end() ? nullptr : &entry->second;
}

Picos Holdings::AmountOf(const std::string& slice) const {
  const SliceView* view = Find(slice);
  return view == nullptr ? 0 : view->amount;
}

Picos Holdings::SpentIn(const std::string& slice) const {
  const SliceView* view = Find(slice);
  return view == nullptr ? 0 : view->spent;
}

Picos Holdings::ReservedIn(const std::string& slice) const {
  const SliceView* view = Find(slice);
  return view == nullptr ? 0 : view->reserved;
}

bool Holdings::IsDue(const Spender& spender, absl::Time now) const {
  const auto binding = bindings_.find(spender.Key());
  return binding != bindings_.end() && now - binding->second.asked > options_.renew_after;
}

std::vector<Holdings::SliceView> Holdings::Slices() const {
  std::vector<SliceView> views;
  views.reserve(slices_.size());
  for (const auto& [name, slice] : slices_) views.push_back(slice);
  return views;
}

}  // namespace floe::gateway
