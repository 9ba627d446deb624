#include "inference/grammar/grammar.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "inference/grammar/network_builder.h"

namespace floe::inference::grammar {
namespace {

using Kind = Node::Kind;

// For each node, whether it can reach the end of its rule; without taking a byte if `bytes` is
// false. Linear: a node that turns out to reach it wakes those that lead to it.
std::vector<bool> ReachEnd(const std::vector<Node>& nodes, bool bytes) {
  std::vector<std::vector<NodeId>> leading(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    if (node.kind == Kind::kEnd || node.kind == Kind::kFail) continue;
    leading[static_cast<size_t>(node.next)].push_back(static_cast<NodeId>(i));
    if (node.kind != Kind::kBytes) {
      leading[static_cast<size_t>(node.other)].push_back(static_cast<NodeId>(i));
    }
  }
  std::vector<bool> reach(nodes.size(), false);
  std::vector<NodeId> awake = {Grammar::kEndNode};
  reach[Grammar::kEndNode] = true;
  while (!awake.empty()) {
    const NodeId end = awake.back();
    awake.pop_back();
    for (const NodeId id : leading[static_cast<size_t>(end)]) {
      const Node& node = nodes[static_cast<size_t>(id)];
      const bool next = reach[static_cast<size_t>(node.next)];
      const bool other = reach[static_cast<size_t>(node.other)];
      const bool now = node.kind == Kind::kBytes   ? bytes && next
                       : node.kind == Kind::kSplit ? next || other
                                                   : next && other;
      if (now && !reach[static_cast<size_t>(id)]) {
        reach[static_cast<size_t>(id)] = true;
        awake.push_back(id);
      }
    }
  }
  return reach;
}

// Calls and splits that can follow `node` without a byte.
std::vector<NodeId> EmptySteps(const Node& node, const std::vector<bool>& nullable) {
  if (node.kind == Kind::kSplit) return {node.next, node.other};
  if (node.kind != Kind::kCall) return {};
  if (!nullable[static_cast<size_t>(node.other)]) return {node.other};
  return {node.other, node.next};
}

// The rules that each rule calls before it has taken a byte. A loop within a rule is none.
std::vector<std::vector<int>> LeftCalls(const std::vector<Node>& nodes,
                                        const std::vector<NodeId>& entries) {
  const std::vector<bool> nullable = ReachEnd(nodes, /*bytes=*/false);
  std::vector<int> rule_at(nodes.size(), -1);
  for (size_t i = 0; i < entries.size(); ++i) {
    rule_at[static_cast<size_t>(entries[i])] = static_cast<int>(i);
  }
  std::vector<std::vector<int>> calls(entries.size());
  std::vector<int> seen_by(nodes.size(), -1);
  for (size_t rule = 0; rule < entries.size(); ++rule) {
    std::vector<NodeId> open = {entries[rule]};
    while (!open.empty()) {
      const NodeId id = open.back();
      open.pop_back();
      if (std::exchange(seen_by[static_cast<size_t>(id)], static_cast<int>(rule)) ==
          static_cast<int>(rule)) {
        continue;
      }
      const Node& node = nodes[static_cast<size_t>(id)];
      for (const NodeId step : EmptySteps(node, nullable)) {
        if (node.kind == Kind::kCall && step == node.other) {
          calls[rule].push_back(rule_at[static_cast<size_t>(step)]);
        } else {
          open.push_back(step);
        }
      }
    }
  }
  return calls;
}

// A rule on a cycle, or -1: rules that nobody left-calls any more are taken away until none goes.
int RuleOnCycle(const std::vector<std::vector<int>>& calls) {
  std::vector<int> callers(calls.size(), 0);
  for (const auto& callees : calls) {
    for (const int callee : callees) ++callers[static_cast<size_t>(callee)];
  }
  std::vector<int> free;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (callers[i] == 0) free.push_back(static_cast<int>(i));
  }
  size_t taken = 0;
  while (!free.empty()) {
    const int rule = free.back();
    free.pop_back();
    ++taken;
    for (const int callee : calls[static_cast<size_t>(rule)]) {
      if (--callers[static_cast<size_t>(callee)] == 0) free.push_back(callee);
    }
  }
  if (taken == calls.size()) return -1;
  // What is left is on a cycle or behind one: going back from caller to caller ends on a cycle.
  std::vector<int> caller_of(calls.size(), -1);
  int at = -1;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (callers[i] == 0) continue;
    at = static_cast<int>(i);
    for (const int callee : calls[i]) caller_of[static_cast<size_t>(callee)] = at;
  }
  for (size_t i = 0; i < calls.size(); ++i) at = caller_of[static_cast<size_t>(at)];
  return at;
}

absl::Status CheckLeftRecursion(const std::vector<Node>& nodes, const std::vector<NodeId>& entries,
                                const Draft& draft) {
  const int rule = RuleOnCycle(LeftCalls(nodes, entries));
  if (rule < 0) return absl::OkStatus();
  const auto index = static_cast<size_t>(rule);
  const std::string name = index < draft.rules.size()
                               ? absl::StrCat("rule ", absl::CHexEscape(draft.rules[index].name))
                               : std::string("a repeated part");
  return absl::InvalidArgumentError(
      absl::StrCat(name, " calls itself before it has matched a character (left recursion); write ",
                   "a repetition: a ::= b (\"+\" b)* in place of a ::= a \"+\" b | b"));
}

}  // namespace

Grammar::Grammar(std::vector<Node> nodes, NodeId start) : nodes_(std::move(nodes)), start_(start) {
  std::array<bool, 257> begins = {true};
  for (const Node& node : nodes_) {
    if (node.kind != Kind::kBytes) continue;
    begins[node.low] = true;
    begins[size_t{node.high} + 1] = true;
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    if (begins[byte]) byte_of_class_.push_back(static_cast<uint8_t>(byte));
    class_of_byte_[byte] = static_cast<uint8_t>(byte_of_class_.size() - 1);
  }
}

absl::StatusOr<Grammar> Grammar::Compile(const Draft& draft) {
  NetworkBuilder builder;
  FLOE_RETURN_IF_ERROR(builder.Build(draft));
  std::vector<Node>& nodes = builder.nodes();
  const NodeId start = builder.entries().front();
  const std::vector<bool> useful = ReachEnd(nodes, /*bytes=*/true);
  if (!useful[static_cast<size_t>(start)]) {
    return absl::InvalidArgumentError("no text of finite length fits it");
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!useful[i]) nodes[i] = {};
  }
  FLOE_RETURN_IF_ERROR(CheckLeftRecursion(nodes, builder.entries(), draft));
  return Grammar(std::move(nodes), start);
}

}  // namespace floe::inference::grammar
