// A grammar's network run over bytes, as a deterministic automaton whose states are made when they
// are first met (lazy subset construction, as RE2 has it, with stacks for the calls of rules).
//
// A state is the set of ways to go on: a node that takes a byte, and the stack of nodes that wait
// behind the calls it is inside of. Stacks share their tails. States and steps between them are
// kept and found again, so a byte that was taken before costs one look into a table.
//
// All of it is bounded: when a state has too many ways, or a call too many new states, the answer
// is kTooComplex and nothing grows further.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

#include "inference/grammar/grammar.h"

namespace floe::inference::grammar {

// Not thread-safe. Borrows the grammar.
class Automaton {
 public:
  using State = int32_t;
  static constexpr State kDead = 0;         // no text goes on from here
  static constexpr State kTooComplex = -2;  // no state: the limits are reached
  // Ways to go on in one state.
  static constexpr size_t kMaxWays = 2048;
  // Before Trim drops what is not in use, and in all.
  static constexpr size_t kFewStates = 8192;
  static constexpr size_t kMaxStates = 2 * kFewStates;
  static constexpr size_t kMaxKeptWays = 1 << 18;
  static constexpr size_t kMaxFrames = 1 << 18;
  // Nodes that are looked at between two calls of BeginWork: 60 milliseconds.
  static constexpr int64_t kMaxWork = 1 << 20;
  // And for one byte, which nothing interrupts: one millisecond. Where as many ways as are allowed
  // are open, eight nodes for each.
  static constexpr int64_t kMaxWorkAByte = 1 << 14;

  explicit Automaton(const Grammar& grammar);

  // Allows as much work again, or goes on where work() stood.
  void BeginWork(int64_t done = 0) { work_ = done; }
  // Nodes that were looked at since.
  int64_t work() const { return work_; }
  State Start();
  // `state` must be none of the two constants.
  State Next(State state, uint8_t byte) {
    const State next = steps_[StepIndex(state, grammar_.ClassOf(byte))];
    return next == kUnknown ? Step(state, grammar_.ClassOf(byte)) : next;
  }
  // The text may end here.
  bool accepting(State state) const { return states_[static_cast<size_t>(state)].accepting; }
  // It may end here and nowhere else.
  bool complete(State state) const {
    const Kept& kept = states_[static_cast<size_t>(state)];
    return kept.accepting && kept.begin == kept.end;
  }

  // Half of what may be kept is: time for Trim.
  bool crowded() const {
    return states_.size() > kFewStates || ways_.size() > kMaxKeptWays / 2 ||
           frames_.size() > kMaxFrames / 2;
  }
  // Forgets all states but those in `used`, which are given their new numbers.
  void Trim(std::span<State*> used);
  size_t num_states() const { return states_.size(); }

 private:
  using Frame = int32_t;  // 0: the empty stack
  static constexpr State kUnknown = -1;

  // A node that takes a byte, with the stack behind it.
  struct Way {
    NodeId node = 0;
    Frame stack = 0;
    auto operator<=>(const Way&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Way& way) {
      return H::combine(std::move(h), way.node, way.stack);
    }
  };
  struct Kept {
    size_t begin = 0;  // of its ways in ways_, sorted
    size_t end = 0;
    bool accepting = false;
  };
  struct FrameData {
    NodeId node = 0;  // where it goes on
    Frame below = 0;
  };

  size_t StepIndex(State state, int byte_class) const {
    return static_cast<size_t>(state) * static_cast<size_t>(grammar_.num_classes()) +
           static_cast<size_t>(byte_class);
  }
  void Clear();
  State Step(State state, int byte_class);
  // Begins a new state; Reach adds to it, Finish looks it up or keeps it.
  void Begin();
  void Reach(NodeId node, Frame stack);
  State Finish();
  Frame Push(NodeId node, Frame below);

  const Grammar& grammar_;
  std::vector<Kept> states_;
  std::vector<Way> ways_;
  std::vector<State> steps_;                                // [state][class]
  absl::flat_hash_map<std::vector<int32_t>, State> known_;  // by accepting, then the ways
  std::vector<FrameData> frames_;
  absl::flat_hash_map<std::pair<NodeId, Frame>, Frame> known_frames_;
  int64_t work_ = 0;

  // Of the state that is being made.
  int64_t max_work_ = 0;  // where work_ must stop
  std::vector<Way> open_;
  absl::flat_hash_set<Way> seen_;
  std::vector<Way> found_;
  bool accepting_ = false;
  bool too_complex_ = false;
};

}  // namespace floe::inference::grammar
