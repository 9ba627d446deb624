#include "inference/scheduler/plan.h"

#include <algorithm>

namespace floe::inference {
namespace {

class Planner {
 public:
  explicit Planner(const Snapshot& snapshot)
      : sequences_(snapshot.sequences),
        taken_(snapshot.sequences.size(), 0),
        preempted_(snapshot.sequences.size(), false),
        limits_(snapshot.limits),
        free_(snapshot.free_blocks),
        block_tokens_(snapshot.block_tokens) {}

  Plan Make() {
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (!IsDecoding(i) || budget_left() < 1) continue;
      if (FreeFor(i, 1)) Take(i, 1);
    }
    SharePrefill(PrefillCandidates());
    Plan plan;
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (preempted_[i]) plan.preempt.push_back(sequences_[i].id);
      if (taken_[i] > 0) plan.parts.push_back({sequences_[i].id, taken_[i]});
    }
    return plan;
  }

 private:
  bool IsDecoding(size_t i) const {
    return sequences_[i].running && !preempted_[i] && sequences_[i].pending == 1;
  }
  int64_t budget_left() const { return limits_.max_step_tokens - used_; }

  int64_t BlocksMissing(size_t i, int64_t tokens) const {
    const SequenceState& s = sequences_[i];
    const int64_t needed = (s.computed + tokens + block_tokens_ - 1) / block_tokens_;
    return std::max<int64_t>(0, needed - s.blocks);
  }

  // Whether `tokens` more fit, after pre-empting younger running sequences where needed. Those that
  // already take part in this step count too: they are younger, so they have not been planned yet.
  bool FreeFor(size_t i, int64_t tokens) {
    const int64_t missing = BlocksMissing(i, tokens);
    for (size_t victim = sequences_.size(); free_ < missing && victim-- > i + 1;) {
      if (!sequences_[victim].running || preempted_[victim] || taken_[victim] > 0) continue;
      preempted_[victim] = true;
      free_ += sequences_[victim].blocks;
    }
    return free_ >= missing;
  }

  void Take(size_t i, int64_t tokens) {
    const int64_t missing = BlocksMissing(i, taken_[i] + tokens) - BlocksMissing(i, taken_[i]);
    free_ -= missing;
    taken_[i] += tokens;
    used_ += tokens;
  }

  // Prompts in work, then those that are admitted now.
  std::vector<size_t> PrefillCandidates() {
    std::vector<size_t> candidates;
    int64_t running = 0;
    int64_t promised = 0;  // blocks that prompts in work will still need
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (!sequences_[i].running || preempted_[i]) continue;
      ++running;
      if (sequences_[i].pending > 1) {
        candidates.push_back(i);
        promised += BlocksMissing(i, sequences_[i].pending);
      }
    }
    const bool any_preempted =
        std::find(preempted_.begin(), preempted_.end(), true) != preempted_.end();
    for (size_t i = 0; i < sequences_.size() && !any_preempted; ++i) {
      if (sequences_[i].running) continue;
      const int64_t needed = BlocksMissing(i, sequences_[i].pending);
      if (running >= limits_.max_running || promised + needed > free_) break;
      promised += needed;
      ++running;
      candidates.push_back(i);
    }
    return candidates;
  }

  // What sequence `i` may still take: of its own need, of its part's limit, of the free blocks.
  int64_t Room(size_t i) {
    const SequenceState& s = sequences_[i];
    int64_t room = s.pending - taken_[i];
    if (s.max_part > 0) room = std::min(room, s.max_part - taken_[i]);
    const int64_t held = s.blocks + BlocksMissing(i, taken_[i]);
    return std::min(room, (held + free_) * block_tokens_ - s.computed - taken_[i]);
  }

  void SharePrefill(const std::vector<size_t>& candidates) {
    if (candidates.empty()) return;
    int64_t budget = budget_left();
    if (used_ > 0) budget = std::min(budget, limits_.prefill_tokens);
    // Without decoders nobody frees blocks by finishing, so the oldest prompt may take them.
    if (used_ == 0 && Room(candidates.front()) < 1) FreeFor(candidates.front(), 1);
    const int64_t share = std::max<int64_t>(1, budget / static_cast<int64_t>(candidates.size()));
    for (const int64_t most : {share, budget}) {
      for (const size_t i : candidates) {
        if (preempted_[i]) continue;
        const int64_t tokens = std::min({most, budget, Room(i)});
        if (tokens < 1) continue;
        Take(i, tokens);
        budget -= tokens;
      }
    }
  }

  const std::vector<SequenceState>& sequences_;
  std::vector<int64_t> taken_;
  std::vector<bool> preempted_;
  const PlanLimits limits_;
  int64_t free_;
  const int64_t block_tokens_;
  int64_t used_ = 0;
};

}  // namespace

Plan PlanStep(const Snapshot& snapshot) { return Planner(snapshot).Make(); }

}  // namespace floe::inference
