// Used by grammar.cc alone: expressions to nodes.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

#include "inference/grammar/grammar.h"

namespace floe::inference::grammar {

// Nodes are made from the end of a text to its beginning, and equal nodes are one. So what ends
// alike is shared, and a call at the end of a rule has that rule's end behind it, which lets the
// automaton leave the frame out: right recursion takes no stack.
class NetworkBuilder {
 public:
  NetworkBuilder();

  // INVALID_ARGUMENT beyond kMaxNodes. Once.
  absl::Status Build(const Draft& draft);

  std::vector<Node>& nodes() { return nodes_; }
  // The node at which each rule begins: those of the draft, then those made for repeated parts.
  const std::vector<NodeId>& entries() const { return entries_; }

 private:
  struct NodeHash {
    size_t operator()(const Node& node) const;
  };

  bool full() const { return nodes_.size() > kMaxNodes; }
  NodeId Add(const Node& node);
  NodeId Bytes(uint8_t low, uint8_t high, NodeId next);
  NodeId Split(NodeId first, NodeId second);
  // The nodes of `expression` with `next` behind them.
  NodeId Emit(const Expression& expression, NodeId next);
  NodeId EmitSet(const CodePointSet& set, NodeId next);
  NodeId EmitRepeat(const Expression& repeat, NodeId next);
  NodeId EmitLoop(const Expression& part, NodeId next);

  std::vector<Node> nodes_;
  std::vector<NodeId> entries_;
  absl::flat_hash_map<Node, NodeId, NodeHash> known_;
};

}  // namespace floe::inference::grammar
