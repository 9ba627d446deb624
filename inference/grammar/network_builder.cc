#include "inference/grammar/network_builder.h"

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

namespace floe::inference::grammar {
namespace {

// A part that repeats often and takes more nodes than this becomes a rule of its own, so that a
// repetition of repetitions grows by their sum and not by their product.
constexpr int64_t kMaxCopiedSize = 2;

int64_t SizeOf(const Expression& expression) {
  switch (expression.kind) {
    case Expression::Kind::kLiteral:
      return static_cast<int64_t>(expression.literal.size());
    case Expression::Kind::kSet:
      return expression.set.ranges().size() == 1 && expression.set.ranges()[0].high < 0x80 ? 1 : 4;
    case Expression::Kind::kRule:
      return 1;
    default:
      return kMaxCopiedSize + 1;
  }
}

}  // namespace

size_t NetworkBuilder::NodeHash::operator()(const Node& node) const {
  return absl::HashOf(static_cast<int>(node.kind), node.low, node.high, node.next, node.other);
}

NetworkBuilder::NetworkBuilder() { nodes_.push_back({.kind = Node::Kind::kEnd}); }

absl::Status NetworkBuilder::Build(const Draft& draft) {
  // Each rule begins at a node of its own, so that calls can name it before it is read.
  for (size_t i = 0; i < draft.rules.size(); ++i) {
    entries_.push_back(static_cast<NodeId>(nodes_.size()));
    nodes_.push_back({});
  }
  for (size_t i = 0; i < draft.rules.size(); ++i) {
    const NodeId body = Emit(draft.rules[i].body, Grammar::kEndNode);
    nodes_[static_cast<size_t>(entries_[i])] = {
        .kind = Node::Kind::kSplit, .next = body, .other = body};
  }
  if (!full()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the grammar takes more than ", kMaxNodes,
                   " nodes; repeat fewer times, or describe the text more simply"));
}

NodeId NetworkBuilder::Add(const Node& node) {
  if (full()) return Grammar::kEndNode;  // Build says so
  const auto [known, fresh] = known_.try_emplace(node, static_cast<NodeId>(nodes_.size()));
  if (fresh) nodes_.push_back(node);
  return known->second;
}

NodeId NetworkBuilder::Bytes(uint8_t low, uint8_t high, NodeId next) {
  return Add({.kind = Node::Kind::kBytes, .low = low, .high = high, .next = next});
}

NodeId NetworkBuilder::Split(NodeId first, NodeId second) {
  if (first == second) return first;
  return Add({.kind = Node::Kind::kSplit, .next = first, .other = second});
}

NodeId NetworkBuilder::Emit(const Expression& expression, NodeId next) {
  switch (expression.kind) {
    case Expression::Kind::kLiteral:
      for (size_t i = expression.literal.size(); i > 0; --i) {
        const auto byte = static_cast<uint8_t>(expression.literal[i - 1]);
        next = Bytes(byte, byte, next);
      }
      return next;
    case Expression::Kind::kSet:
      return EmitSet(expression.set, next);
    case Expression::Kind::kSequence:
      for (size_t i = expression.parts.size(); i > 0; --i) {
        next = Emit(expression.parts[i - 1], next);
      }
      return next;
    case Expression::Kind::kChoice: {
      if (expression.parts.empty()) return Add({});
      NodeId choice = Emit(expression.parts.back(), next);
      for (size_t i = expression.parts.size() - 1; i > 0; --i) {
        choice = Split(Emit(expression.parts[i - 1], next), choice);
      }
      return choice;
    }
    case Expression::Kind::kRepeat:
      return EmitRepeat(expression, next);
    case Expression::Kind::kRule:
      break;
  }
  const NodeId entry = entries_[static_cast<size_t>(expression.rule)];
  return Add({.kind = Node::Kind::kCall, .next = next, .other = entry});
}

NodeId NetworkBuilder::EmitSet(const CodePointSet& set, NodeId next) {
  if (set.empty()) return Add({});
  NodeId choice = -1;
  for (const Utf8Sequence& sequence : Utf8Sequences(set)) {
    NodeId at = next;
    for (int i = sequence.length - 1; i >= 0; --i) {
      at = Bytes(sequence.bytes[i].low, sequence.bytes[i].high, at);
    }
    choice = choice < 0 ? at : Split(at, choice);
  }
  return choice;
}

NodeId NetworkBuilder::EmitRepeat(const Expression& repeat, NodeId next) {
  const Expression* part = &repeat.parts.front();
  const bool often = repeat.least > 1 || repeat.most > 1;
  Expression call;
  if (often && SizeOf(*part) > kMaxCopiedSize) {
    const NodeId entry = Emit(*part, Grammar::kEndNode);
    call = Expression::Rule(static_cast<int>(entries_.size()));
    entries_.push_back(entry);
    part = &call;
  }
  if (repeat.most == Expression::kUnbounded) {
    next = EmitLoop(*part, next);
  } else {
    const NodeId after = next;
    for (int i = repeat.least; i < repeat.most && !full(); ++i) {
      next = Split(Emit(*part, next), after);
    }
  }
  for (int i = 0; i < repeat.least && !full(); ++i) next = Emit(*part, next);
  return next;
}

NodeId NetworkBuilder::EmitLoop(const Expression& part, NodeId next) {
  if (full()) return next;
  // Outside known_: it is not finished when others point to it.
  const auto loop = static_cast<NodeId>(nodes_.size());
  nodes_.push_back({});
  const NodeId body = Emit(part, loop);
  nodes_[static_cast<size_t>(loop)] = {.kind = Node::Kind::kSplit, .next = body, .other = next};
  return loop;
}

}  // namespace floe::inference::grammar
