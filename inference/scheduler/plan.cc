#include "inference/scheduler/plan.h"

#include <algorithm>
#include <numeric>
#include <optional>

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
        admitted_(snapshot.admitted),
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
    SharePrefill(prompts);
    Plan plan;
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (preempted_[i]) plan.preempt.push_back(sequences_[i].id);
      if (taken_[i] > 0) plan.parts.push_back({sequences_[i].id, taken_[i]});
    }
    return plan;
  }

 private:
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
    for (const size_t i : precedence_) {
      if (IsRunning(i) && sequences_[i].pending > 1) prompts.push_back(i);
    }
    return prompts;
  }

  // The part of lately admitted tokens that went to `tier`; with no history nobody lacks anything.
  double ShareOf(size_t tier) const {
    const double all = std::accumulate(admitted_.begin(), admitted_.end(), 0.0);
    return all > 0 ? admitted_[tier] / all : 1;
  }

  // The waiting sequence whose turn it is: of the tier that lacks most of its guaranteed share,
  // else of the highest tier; within a tier the oldest.
  std::optional<size_t> NextWaiting(const std::vector<bool>& passed) const {
    std::array<std::optional<size_t>, kNumTiers> first;
    for (size_t i = sequences_.size(); i-- > 0;) {
      if (!sequences_[i].running && !passed[i]) first[Rank(sequences_[i].tier)] = i;
    }
    std::optional<size_t> next;
    double most_lacking = 0;
    for (size_t tier = 0; tier < kNumTiers; ++tier) {
      if (!first[tier]) continue;
      const double lacking = limits_.guaranteed_share[tier] - ShareOf(tier);
      if (lacking > most_lacking) {
        most_lacking = lacking;
        next = first[tier];
      } else if (most_lacking <= 0) {
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
      if (IsRunning(i) && ShareOf(rank) > limits_.guaranteed_share[rank]) return i;
    }
    return std::nullopt;
  }

  void Admit(std::vector<size_t>& prompts) {
    int64_t running = 0;
    int64_t promised = 0;  // blocks that prompts in work will still need
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (!IsRunning(i)) continue;
      ++running;
      if (sequences_[i].pending > 1) promised += BlocksMissing(i, sequences_[i].pending);
    }
    std::vector<bool> passed(sequences_.size(), false);
    while (const std::optional<size_t> next = NextWaiting(passed)) {
      passed[*next] = true;
      const int64_t needed = BlocksMissing(*next, sequences_[*next].pending);
      while (running >= limits_.max_running || promised + needed > free_) {
        const std::optional<size_t> victim = GivesWayTo(sequences_[*next].tier);
        if (!victim) return;
        if (sequences_[*victim].pending > 1) {
          promised -= BlocksMissing(*victim, sequences_[*victim].pending);
        }
        Preempt(*victim);
        std::erase(prompts, *victim);
        --running;
      }
      promised += needed;
      ++running;
      admitted_[Rank(sequences_[*next].tier)] += static_cast<double>(sequences_[*next].pending);
      prompts.push_back(*next);
    }
  }

  // What sequence `i` may still take: of its own need, of its part's limit, of the free blocks.
  int64_t Room(size_t i) const {
    const SequenceState& s = sequences_[i];
    int64_t room = s.pending - taken_[i];
    if (s.max_part > 0) room = std::min(room, s.max_part - taken_[i]);
    const int64_t held = s.blocks + BlocksMissing(i, taken_[i]);
    return std::min(room, (held + free_) * block_tokens_ - s.computed - taken_[i]);
  }

  void SharePrefill(const std::vector<size_t>& prompts) {
    if (prompts.empty()) return;
    int64_t budget = budget_left();
    if (used_ > 0) budget = std::min(budget, limits_.prefill_tokens);
    // Without decoders nobody frees blocks by finishing, so the first prompt may take them.
    if (used_ == 0 && Room(prompts.front()) < 1) FreeFor(prompts.front(), 1);
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
        const int64_t tokens = std::min({most, budget, Room(i)});
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
  std::array<double, kNumTiers> admitted_;
  int64_t free_;
  const int64_t block_tokens_;
  int64_t used_ = 0;
};

}  // namespace

Plan PlanStep(const Snapshot& snapshot) { return Planner(snapshot).Make(); }

}  // namespace floe::inference
