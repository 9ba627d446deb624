#include "inference/grammar/automaton.h"

#include <algorithm>

namespace floe::inference::grammar {

Automaton::Automaton(const Grammar& grammar) : grammar_(grammar) { Clear(); }

void Automaton::Clear() {
  states_.assign(1, {});  // kDead
  ways_.clear();
  steps_.assign(static_cast<size_t>(grammar_.num_classes()), kDead);
  known_.clear();
  known_[{0}] = kDead;
  frames_.assign(1, {});
  known_frames_.clear();
}

Automaton::State Automaton::Start() {
  Begin();
  Reach(grammar_.start(), 0);
  return Finish();
}

Automaton::State Automaton::Step(State state, int byte_class) {
  const uint8_t byte = grammar_.ByteOf(byte_class);
  const Kept kept = states_[static_cast<size_t>(state)];
  Begin();
  for (size_t i = kept.begin; i < kept.end; ++i) {
    const Way way = ways_[i];
    const Node& node = grammar_.node(way.node);
    if (node.low <= byte && byte <= node.high) Reach(node.next, way.stack);
  }
  const State next = Finish();
  // What did not fit may fit after a Trim.
  if (next != kTooComplex) steps_[StepIndex(state, byte_class)] = next;
  return next;
}

void Automaton::Begin() {
  seen_.clear();
  found_.clear();
  accepting_ = false;
  too_complex_ = false;
  max_work_ = std::min(work_ + kMaxWorkAByte, kMaxWork);
}

// Left recursion is refused when a grammar is compiled, so calls cannot follow one another for
// ever; `seen_` ends the loops within a rule.
void Automaton::Reach(NodeId start, Frame stack) {
  open_.assign(1, {start, stack});
  while (!open_.empty() && !too_complex_) {
    const Way way = open_.back();
    open_.pop_back();
    if (!seen_.insert(way).second) continue;
    if (++work_ > max_work_ || found_.size() >= kMaxWays) too_complex_ = true;
    const Node& node = grammar_.node(way.node);
    switch (node.kind) {
      case Node::Kind::kFail:
        break;
      case Node::Kind::kBytes:
        found_.push_back(way);
        break;
      case Node::Kind::kSplit:
        open_.push_back({node.other, way.stack});
        open_.push_back({node.next, way.stack});
        break;
      case Node::Kind::kCall:
        open_.push_back({node.other, Push(node.next, way.stack)});
        break;
      case Node::Kind::kEnd:
        if (way.stack == 0) {
          accepting_ = true;
        } else {
          const FrameData& frame = frames_[static_cast<size_t>(way.stack)];
          open_.push_back({frame.node, frame.below});
        }
        break;
    }
  }
}

Automaton::Frame Automaton::Push(NodeId node, Frame below) {
  // Nothing is left to do behind the call: its rule's end is this one's.
  if (node == Grammar::kEndNode) return below;
  const auto [known, fresh] =
      known_frames_.try_emplace({node, below}, static_cast<Frame>(frames_.size()));
  if (fresh) frames_.push_back({node, below});
  if (frames_.size() > kMaxFrames) too_complex_ = true;
  return known->second;
}

Automaton::State Automaton::Finish() {
  if (too_complex_) return kTooComplex;
  std::sort(found_.begin(), found_.end());
  std::vector<int32_t> key = {accepting_ ? 1 : 0};
  key.reserve(1 + 2 * found_.size());
  for (const Way& way : found_) {
    key.push_back(way.node);
    key.push_back(way.stack);
  }
  const auto found = known_.find(key);
  if (found != known_.end()) return found->second;
  if (states_.size() >= kMaxStates || ways_.size() + found_.size() > kMaxKeptWays) {
    return kTooComplex;
  }
  const auto state = static_cast<State>(states_.size());
  states_.push_back({ways_.size(), ways_.size() + found_.size(), accepting_});
  ways_.insert(ways_.end(), found_.begin(), found_.end());
  steps_.resize(states_.size() * static_cast<size_t>(grammar_.num_classes()), kUnknown);
  known_.emplace(std::move(key), state);
  return state;
}

void Automaton::Trim(std::span<State*> used) {
  const std::vector<Kept> states = std::move(states_);
  const std::vector<Way> ways = std::move(ways_);
  const std::vector<FrameData> frames = std::move(frames_);
  Clear();
  absl::flat_hash_map<Frame, Frame> copies = {{0, 0}};
  // Tails that stacks share are copied once.
  const auto copy = [&](Frame stack) {
    std::vector<Frame> path;
    for (; !copies.contains(stack); stack = frames[static_cast<size_t>(stack)].below) {
      path.push_back(stack);
    }
    Frame below = copies[stack];
    for (size_t i = path.size(); i > 0; --i) {
      below = Push(frames[static_cast<size_t>(path[i - 1])].node, below);
      copies[path[i - 1]] = below;
    }
    return below;
  };
  for (State* state : used) {
    const Kept& kept = states[static_cast<size_t>(*state)];
    Begin();
    accepting_ = kept.accepting;
    for (size_t i = kept.begin; i < kept.end; ++i) {
      found_.push_back({ways[i].node, copy(ways[i].stack)});
    }
    *state = Finish();
  }
}

}  // namespace floe::inference::grammar
