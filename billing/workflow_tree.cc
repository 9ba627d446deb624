#include "billing/workflow_tree.h"

#include <algorithm>
#include <map>

#include "base/status_macros.h"

namespace floe::billing {
namespace {

using Children = std::multimap<std::string, size_t>;  // usage id -> its children, in order of time

// Depth first, without recursion: a client may nest as deep as it likes.
std::vector<size_t> Walk(std::vector<WorkflowStep>& steps, const Children& children, size_t root,
                         std::vector<bool>& placed) {
  std::vector<size_t> order, open = {root};
  steps[root].parent_id.clear();
  steps[root].depth = 0;
  placed[root] = true;
  while (!open.empty()) {
    const size_t at = open.back();
    open.pop_back();
    order.push_back(at);
    const auto [begin, end] = children.equal_range(steps[at].usage_id);
    std::vector<size_t> below;
    for (auto child = begin; child != end; ++child) {
      if (placed[child->second]) continue;
      placed[child->second] = true;
      steps[child->second].depth = steps[at].depth + 1;
      below.push_back(child->second);
    }
    open.insert(open.end(), below.rbegin(), below.rend());
  }
  return order;
}

}  // namespace

absl::StatusOr<WorkflowTree> BuildTree(std::vector<WorkflowStep> steps) {
  std::stable_sort(steps.begin(), steps.end(), [](const auto& a, const auto& b) {
    return std::tie(a.time, a.usage_id) < std::tie(b.time, b.usage_id);
  });
  std::map<std::string, size_t> index;
  Children children;
  for (size_t i = 0; i < steps.size(); ++i) index.emplace(steps[i].usage_id, i);
  for (size_t i = 0; i < steps.size(); ++i) children.emplace(steps[i].parent_id, i);

  std::vector<bool> placed(steps.size());
  std::vector<size_t> order;
  const auto place = [&](size_t root) {
    const std::vector<size_t> part = Walk(steps, children, root, placed);
    order.insert(order.end(), part.begin(), part.end());
  };
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!placed[i] && !index.contains(steps[i].parent_id)) place(i);
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!placed[i]) place(i);  // only circles are left
  }

  WorkflowTree tree;
  absl::Time end = absl::InfinitePast();
  for (const size_t i : order) {
    WorkflowStep& step = steps[i];
    step.subtree_net = step.net;
    FLOE_ASSIGN_OR_RETURN(tree.net, Add(tree.net, step.net));
    tree.busy += step.total_time;
    end = std::max(end, step.time + step.total_time);
  }
  // Children stand behind their parents, so from the end each sum is complete when it is passed up.
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    if (steps[*i].parent_id.empty()) continue;
    WorkflowStep& parent = steps[index.at(steps[*i].parent_id)];
    FLOE_ASSIGN_OR_RETURN(parent.subtree_net, Add(parent.subtree_net, steps[*i].subtree_net));
  }
  if (!steps.empty()) {
    tree.start = steps.front().time;
    tree.elapsed = end - tree.start;
  }
  for (const size_t i : order) tree.steps.push_back(std::move(steps[i]));
  return tree;
}

}  // namespace floe::billing
