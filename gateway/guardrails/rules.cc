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

size_t RuleSet::window() const {
  size_t longest = 0;
  for (const Rule& rule : rules_) longest = std::max(longest, rule.detector.max_length());
  return rules_.empty() ? 0 : longest + kContextBytes;
}

StreamGuard::StreamGuard(const RuleSet& rules) : rules_(rules), next_(rules.rules().size(), 0) {}

std::string StreamGuard::Push(std::string_view piece) {
  if (blocked_) return "";
  if (rules_.empty()) return std::string(piece);
  buffer_ += piece;
  const size_t end = base_ + buffer_.size();
  const size_t window = rules_.window();
  if (end <= window) return "";
  size_t limit = end - window;
  // A character's bytes leave together.
  while (limit > base_ && (static_cast<unsigned char>(buffer_[limit - base_]) & 0xC0) == 0x80) {
    --limit;
  }
  return limit > released_ ? Decide(limit) : "";
}

std::string StreamGuard::Finish() {
  if (blocked_ || rules_.empty()) return "";
  return Decide(base_ + buffer_.size());
}

void StreamGuard::FindSpans(size_t limit) {
  for (size_t i = 0; i < next_.size(); ++i) {
    const Rule& rule = rules_.rules()[i];
    while (next_[i] < limit) {
      const auto match = rule.detector.Find(buffer_, next_[i] - base_, limit - base_);
      if (!match) {
        next_[i] = limit;
        break;
      }
      spans_.push_back({base_ + match->begin, base_ + match->end, &rule});
      next_[i] = base_ + match->end;
    }
  }
  // At the same place the sterner rule counts, then the longer match.
  std::stable_sort(spans_.begin(), spans_.end(), [](const Span& a, const Span& b) {
    if (a.begin != b.begin) return a.begin < b.begin;
    if (a.rule->action != b.rule->action) return a.rule->action > b.rule->action;
    return a.end > b.end;
  });
}

std::string StreamGuard::Decide(size_t limit) {
  FindSpans(limit);
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
