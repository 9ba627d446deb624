#include "gateway/guardrails/rules.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::gateway::guardrails {
namespace {

constexpr std::array<std::string_view, 3> kActions = {"flag", "mask", "block"};

}  // namespace

std::string_view ActionName(Action action) { return kActions[static_cast<size_t>(action)]; }

absl::StatusOr<Action> ParseAction(std::string_view name) {
  for (size_t i = 0; i < kActions.size(); ++i) {
    if (kActions[i] == name) return static_cast<Action>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("action is \"", AbslView(name), "\"; use block, mask or flag"));
}

size_t RuleSet::reach(bool changing) const {
  size_t longest = 0;
  for (const Rule& rule : rules_) {
    if ((rule.action != Action::kFlag) != changing) continue;
    longest = std::max(longest, rule.detector.max_length() + kContextBytes);
  }
  return longest;
}

size_t RuleSet::window() const {
  const size_t held = reach(/*changing=*/true);
  return held + held / 8;
}

StreamGuard::StreamGuard(const RuleSet& rules)
    : rules_(rules),
      held_(rules.reach(/*changing=*/true)),
      flagged_(rules.reach(/*changing=*/false)),
      next_(rules.rules().size(), 0) {}

std::string StreamGuard::Push(std::string_view piece) {
  if (blocked_) return "";
  if (rules_.empty()) return std::string(piece);
  buffer_ += piece;
  const size_t end = base_ + buffer_.size();
  // A search costs the reach of its rules, whatever is new: not every piece is worth one.
  if (flagged_ > 0 && end >= flagged_until_ + 2 * flagged_) Flag(end - flagged_);
  if (end < released_ + held_ + held_ / 8) return "";
  size_t limit = end - held_;
  // A character's bytes leave together.
  while (held_ > 0 && limit > base_ &&
         (static_cast<unsigned char>(buffer_[limit - base_]) & 0xC0) == 0x80) {
    --limit;
  }
  return limit > released_ ? Decide(limit) : "";
}

std::string StreamGuard::Finish() {
  if (blocked_ || rules_.empty()) return "";
  const size_t end = base_ + buffer_.size();
  std::string out = Decide(end);
  if (!blocked_) Flag(end);
  return out;
}

void StreamGuard::Find(bool changing, size_t limit, std::vector<Span>& spans) {
  for (size_t i = 0; i < next_.size(); ++i) {
    const Rule& rule = rules_.rules()[i];
    if ((rule.action != Action::kFlag) != changing) continue;
    while (next_[i] < limit) {
      const auto match = rule.detector.Find(buffer_, next_[i] - base_, limit - base_);
      if (!match) {
        next_[i] = limit;
        break;
      }
      spans.push_back({base_ + match->begin, base_ + match->end, &rule});
      next_[i] = base_ + match->end;
    }
  }
  // At the same place the sterner rule counts, then the longer match.
  std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    if (a.begin != b.begin) return a.begin < b.begin;
    if (a.rule->action != b.rule->action) return a.rule->action > b.rule->action;
    return a.end > b.end;
  });
}

void StreamGuard::Flag(size_t limit) {
  std::vector<Span> spans;
  Find(/*changing=*/false, limit, spans);
  for (const Span& span : spans) {
    findings_.push_back(
        {span.rule->detector.name(), span.rule->action, span.begin, span.end - span.begin});
  }
  flagged_until_ = limit;
}

std::string StreamGuard::Decide(size_t limit) {
  Find(/*changing=*/true, limit, spans_);
  std::string out;
  const auto release_until = [&](size_t to) {
    const size_t from = std::max(released_, masked_until_);
    if (from < to) out.append(buffer_, from - base_, to - from);
    released_ = std::max(released_, to);
  };
  size_t passed = 0;
  for (; passed < spans_.size() && spans_[passed].begin < limit; ++passed) {
    const Span& span = spans_[passed];
    release_until(span.begin);
    if (span.rule->action == Action::kBlock) Flag(span.begin);  // what passed before it
    findings_.push_back(
        {span.rule->detector.name(), span.rule->action, span.begin, span.end - span.begin});
    if (span.rule->action == Action::kBlock) {
      blocked_ = true;
      return out;
    }
    if (span.rule->action == Action::kMask) {
      if (span.begin >= masked_until_) absl::StrAppend(&out, "[", span.rule->detector.name(), "]");
      masked_until_ = std::max(masked_until_, span.end);
    }
  }
  spans_.erase(spans_.begin(), spans_.begin() + static_cast<std::ptrdiff_t>(passed));
  release_until(limit);
  Forget();
  return out;
}

// Keeps what is not released, what a search still needs, and the left context of both.
void StreamGuard::Forget() {
  const size_t needed = std::min(released_, *std::min_element(next_.begin(), next_.end()));
  const size_t keep = needed > base_ + kContextBytes ? needed - kContextBytes : base_;
  buffer_.erase(0, keep - base_);
  base_ = keep;
}

Verdict Apply(const RuleSet& rules, std::string_view text) {
  StreamGuard guard(rules);
  Verdict verdict;
  verdict.text = guard.Push(text);
  verdict.text += guard.Finish();
  verdict.blocked = guard.blocked();
  verdict.findings = guard.findings();
  return verdict;
}

}  // namespace floe::gateway::guardrails
