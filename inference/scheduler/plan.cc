#include "inference/scheduler/plan.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace floe::inference {
namespace {

size_t Rank(ServiceTier tier) { return static_cast<size_t>(tier); }

class Planner {
 public:
  explicit Planner(const Snapshot& snapshot)
      : sequences_(snapshot.sequences),
        taken_(snapshot.sequences.size(), 0),
        preempted_(snapshot.sequences.size(), false),
        precedence_(snapshot.sequences.size()),
        limits_(snapshot.limits),
        now_(snapshot.now),
        worked_(snapshot.worked),
        free_(snapshot.free_blocks),
        block_tokens_(snapshot.block_tokens) {
    std::iota(precedence_.begin(), precedence_.end(), size_t{0});
    std::stable_sort(precedence_.begin(), precedence_.end(), [this](size_t a, size_t b) {
      return sequences_[a].tier > sequences_[b].tier;
    });
  }

  Plan Make() {
    for (const size_t i : precedence_) {
      if (IsDecoding(i) && budget_left() >= 1 && FreeFor(i, 1)) Take(i, 1);
    }
    const bool short_of_blocks = AnyPreempted();
    std::vector<size_t> prompts = PromptsInWork();
    if (!short_of_blocks) Admit(prompts);
    SharePrefill(std::move(prompts));
    Plan plan;
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (preempted_[i]) plan.preempt.push_back(sequences_[i].id);
      if (taken_[i] > 0) plan.parts.push_back({sequences_[i].id, taken_[i]});
    }
    return plan;
  }

 private:
  // What waiting sequences may be given.
  struct Room {
    int64_t slots = 0;
    int64_t blocks = 0;
  };

  bool IsRunning(size_t i) const { return sequences_[i].running && !preempted_[i]; }
  bool IsDecoding(size_t i) const { return IsRunning(i) && sequences_[i].pending == 1; }
  bool AnyPreempted() const {
    return std::find(preempted_.begin(), preempted_.end(), true) != preempted_.end();
  }
  int64_t budget_left() const { return limits_.max_step_tokens - used_; }

  int64_t BlocksMissing(size_t i, int64_t tokens) const {
    const SequenceState& s = sequences_[i];
    const int64_t needed = (s.computed + tokens + block_tokens_ - 1) / block_tokens_;
    return std::max<int64_t>(0, needed - s.blocks);
  }

  // Whether `tokens` more fit, after pre-empting running sequences behind it where needed. Those
  // that already take part in this step are ahead of it.
  bool FreeFor(size_t i, int64_t tokens) {
    const int64_t missing = BlocksMissing(i, tokens);
    for (size_t place = precedence_.size(); free_ < missing && place-- > 0;) {
      const size_t victim = precedence_[place];
      if (victim == i) break;
      if (IsRunning(victim) && taken_[victim] == 0) Preempt(victim);
    }
    return free_ >= missing;
  }

  void Preempt(size_t victim) {
    preempted_[victim] = true;
    const SequenceState& s = sequences_[victim];
    free_ += s.blocks - s.shared_blocks + BlocksMissing(victim, taken_[victim]);
    used_ -= taken_[victim];
    taken_[victim] = 0;
  }

  void Take(size_t i, int64_t tokens) {
    const int64_t missing = BlocksMissing(i, taken_[i] + tokens) - BlocksMissing(i, taken_[i]);
    free_ -= missing;
    taken_[i] += tokens;
    used_ += tokens;
  }

  std::vector<size_t> PromptsInWork() const {
    std::vector<size_t> prompts;
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (IsRunning(i) && sequences_[i].pending > 1) prompts.push_back(i);
    }
    return prompts;
  }

  bool IsLate(size_t i) const { return sequences_[i].deadline < now_; }

  // Within a tier.
  bool HasTurnBefore(size_t a, size_t b) const {
    const SequenceState& x = sequences_[a];
    const SequenceState& y = sequences_[b];
    if (x.resumed != y.resumed) return x.resumed;
    if (IsLate(a) != IsLate(b)) return IsLate(b);
    if (x.deadline != y.deadline) return x.deadline < y.deadline;
    return a < b;
  }

  // Between tiers that all have had their share.
  bool IsMoreUrgent(size_t a, size_t b) const {
    const SequenceState& x = sequences_[a];
    const SequenceState& y = sequences_[b];
    if (IsLate(a) != IsLate(b)) return IsLate(b);
    if (!IsLate(a) && x.deadline != y.deadline) return x.deadline < y.deadline;
    return x.tier > y.tier;
  }

  using Work = std::array<double, kNumTiers>;

  // How much of its guaranteed share `tier` lacks in `work`; below 0 it has more.
  double Lacking(size_t tier, const Work& work) const {
    return limits_.guaranteed_share[tier] - ShareOf(tier, work);
  }

  // The part of `work` that is `tier`'s; of no work at all nobody lacks anything.
  static double ShareOf(size_t tier, const Work& work) {
    const double all = std::accumulate(work.begin(), work.end(), 0.0);
    return all > 0 ? work[tier] / all : 1;
  }

  void Commit(size_t i, Work& work) const {
    const SequenceState& s = sequences_[i];
    work[Rank(s.tier)] += static_cast<double>(s.pending + s.answer);
  }

  // Done lately, and what is left of all that run or are just admitted.
  Work WorkInHand(const std::vector<size_t>& prompts) const {
    Work work = worked_;
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (IsDecoding(i)) Commit(i, work);
    }
    for (const size_t i : prompts) Commit(i, work);
    return work;
  }

  // The waiting sequence whose turn it is.
  std::optional<size_t> NextWaiting(const std::vector<bool>& passed, const Work& work) const {
    std::array<std::optional<size_t>, kNumTiers> first;
    for (size_t i = 0; i < sequences_.size(); ++i) {
      std::optional<size_t>& best = first[Rank(sequences_[i].tier)];
      if (sequences_[i].running || passed[i]) continue;
      if (!best || HasTurnBefore(i, *best)) best = i;
    }
    std::optional<size_t> next;
    double most_lacking = 0;
    for (size_t tier = 0; tier < kNumTiers; ++tier) {
      if (!first[tier]) continue;
      const double lacking = Lacking(tier, work);
      if (lacking > most_lacking) {
        most_lacking = lacking;
        next = first[tier];
      } else if (most_lacking <= 0 && (!next || IsMoreUrgent(*first[tier], *next))) {
        next = first[tier];
      }
    }
    return next;
  }

  // The running sequence that gives way to a waiting one of `tier`: of the lowest tier below it
  // that has had its share, the youngest.
  std::optional<size_t> GivesWayTo(ServiceTier tier) const {
    for (size_t place = precedence_.size(); place-- > 0;) {
      const size_t i = precedence_[place];
      if (sequences_[i].tier >= tier) return std::nullopt;
      const size_t rank = Rank(sequences_[i].tier);
      if (IsRunning(i) && Lacking(rank, worked_) < 0) return i;
    }
    return std::nullopt;
  }

  void Admit(std::vector<size_t>& prompts) {
    Room room{.slots = limits_.max_running, .blocks = free_};
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (!IsRunning(i)) continue;
      --room.slots;
      room.blocks -= Promised(i);
    }
    std::vector<bool> passed(sequences_.size(), false);
    while (const std::optional<size_t> next = NextWaiting(passed, WorkInHand(prompts))) {
      passed[*next] = true;
      const ServiceTier tier = sequences_[*next].tier;
      const int64_t needed = BlocksMissing(*next, sequences_[*next].pending);
      if (!MakeRoom(tier, needed, room, prompts)) {
        // The room that there is stays for it; higher tiers may still take from lower ones.
        room = {};
        for (size_t i = 0; i < sequences_.size(); ++i) {
          if (sequences_[i].tier <= tier) passed[i] = true;
        }
        continue;
      }
      --room.slots;
      room.blocks -= needed;
      prompts.push_back(*next);
    }
  }

  // Blocks that a running sequence still needs for its prompt.
  int64_t Promised(size_t i) const {
    return sequences_[i].pending > 1 ? BlocksMissing(i, sequences_[i].pending) : 0;
  }

  // Whether there is a slot and `needed` blocks in `room`, after pre-empting lower tiers.
  bool MakeRoom(ServiceTier tier, int64_t needed, Room& room, std::vector<size_t>& prompts) {
    while (room.slots < 1 || room.blocks < needed) {
      const std::optional<size_t> victim = GivesWayTo(tier);
      if (!victim) return false;
      const int64_t before = free_ - Promised(*victim);
      Preempt(*victim);
      ++room.slots;
      room.blocks += free_ - before;
      std::erase(prompts, *victim);
    }
    return true;
  }

  // What sequence `i` may still take: of its own need, of its part's limit, of the free blocks.
  int64_t MostTokens(size_t i) const {
    const SequenceState& s = sequences_[i];
    int64_t room = s.pending - taken_[i];
    if (s.max_part > 0) room = std::min(room, s.max_part - taken_[i]);
    const int64_t held = s.blocks + BlocksMissing(i, taken_[i]);
    return std::min(room, (held + free_) * block_tokens_ - s.computed - taken_[i]);
  }

  void SharePrefill(std::vector<size_t> prompts) {
    if (prompts.empty()) return;
    std::sort(prompts.begin(), prompts.end(), [this](size_t a, size_t b) {
      if (sequences_[a].tier != sequences_[b].tier) return sequences_[a].tier > sequences_[b].tier;
      return HasTurnBefore(a, b);
    });
    int64_t budget = budget_left();
    if (used_ > 0) budget = std::min(budget, limits_.prefill_tokens);
    // Without decoders nobody frees blocks by finishing, so the first prompt may take them.
    if (used_ == 0 && MostTokens(prompts.front()) < 1) FreeFor(prompts.front(), 1);
    std::array<std::vector<size_t>, kNumTiers> by_tier;
    for (const size_t i : prompts) {
      if (!preempted_[i]) by_tier[Rank(sequences_[i].tier)].push_back(i);
    }
    const auto whole = static_cast<double>(budget);
    for (size_t tier = kNumTiers; tier-- > 0 && budget > 0;) {
      int64_t kept = 0;  // for lower tiers
      for (size_t lower = 0; lower < tier; ++lower) {
        if (by_tier[lower].empty()) continue;
        kept += std::max<int64_t>(1, static_cast<int64_t>(limits_.guaranteed_share[lower] * whole));
      }
      budget -= ShareWithin(by_tier[tier], std::max<int64_t>(1, budget - kept));
    }
  }

  // Gives the prompts of one tier up to `budget` tokens; how many they took.
  int64_t ShareWithin(const std::vector<size_t>& prompts, int64_t budget) {
    if (prompts.empty() || budget < 1) return 0;
    const int64_t all = budget;
    const int64_t share = std::max<int64_t>(1, budget / static_cast<int64_t>(prompts.size()));
    for (const int64_t most : {share, all}) {
      for (const size_t i : prompts) {
        const int64_t tokens = std::min({most, budget, MostTokens(i)});
        if (tokens < 1) continue;
        Take(i, tokens);
        budget -= tokens;
      }
    }
    return all - budget;
  }

  const std::vector<SequenceState>& sequences_;
  std::vector<int64_t> taken_;
  std::vector<bool> preempted_;
  std::vector<size_t> precedence_;  // indices by tier, then arrival
  const PlanLimits limits_;
  const absl::Duration now_;
  const std::array<double, kNumTiers> worked_;
  int64_t free_;
  const int64_t block_tokens_;
  int64_t used_ = 0;
};

}  // namespace

Plan PlanStep(const Snapshot& snapshot) { return Planner(snapshot).Make(); }

}  // namespace floe::inference
