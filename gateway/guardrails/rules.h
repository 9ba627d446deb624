// Rules over texts that go in and out: what is looked for, and what happens then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/guardrails/detector.h"

namespace floe::gateway::guardrails {

enum class Action {
  kFlag,   // the finding is recorded, the text stays
  kMask,   // the match is replaced by `[name]`
  kBlock,  // nothing from the match on passes
};

std::string_view ActionName(Action action);
absl::StatusOr<Action> ParseAction(std::string_view name);

struct Rule {
  Detector detector;
  Action action = Action::kBlock;
};

// What a rule found. It never holds the text itself.
struct Finding {
  std::string rule;
  Action action = Action::kFlag;
  size_t offset = 0;  // bytes from the start of the text
  size_t length = 0;
  bool operator==(const Finding&) const = default;
};

// An immutable set of rules for one direction; safe to share between requests and threads.
class RuleSet {
 public:
  explicit RuleSet(std::vector<Rule> rules) : rules_(std::move(rules)) {}
  const std::vector<Rule>& rules() const { return rules_; }
  bool empty() const { return rules_.empty(); }
  // The longest match of the rules that change texts (block, mask) or of those that only flag, with
  // its context, in bytes; 0 without such rules.
  size_t reach(bool changing) const;
  // How far a stream is held back at most, in bytes: the reach of the rules that change it, and an
  // eighth of it, so that not every piece starts a search of its own. Rules that flag hold nothing
  // back.
  size_t window() const;

 private:
  std::vector<Rule> rules_;
};

// Applies rules to a text that arrives in pieces. Nothing that a blocking or masking rule matches
// leaves, not even in part, wherever the pieces are cut: what is released is always what Apply()
// gives for the whole text. Not thread-safe; one a text; borrows the rules.
//
// How: a match that begins at byte b ends before b + max_length, so a byte may leave once that many
// bytes (and the context of a match) have arrived behind it. Rules that only flag look at what has
// left already.
class StreamGuard {
 public:
  explicit StreamGuard(const RuleSet& rules);

  // Takes a piece, releases what is decided; empty once blocked().
  std::string Push(std::string_view piece);
  // The end of the text: releases the rest.
  std::string Finish();

  bool blocked() const { return blocked_; }
  // In the order in which they were decided.
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  struct Span {
    size_t begin = 0;  // in the whole text
    size_t end = 0;
    const Rule* rule = nullptr;
  };

  // Decides everything that changes the text and begins before `limit`, an offset in the whole
  // text.
  std::string Decide(size_t limit);
  // Records everything that is only flagged and begins before `limit`.
  void Flag(size_t limit);
  // Adds what the rules of one kind find before `limit` to `spans`, in order.
  void Find(bool changing, size_t limit, std::vector<Span>& spans);
  void Forget();

  const RuleSet& rules_;
  const size_t held_;         // reach of the rules that change the text
  const size_t flagged_;      // reach of those that do not
  std::string buffer_;        // the text from base_ on
  size_t base_ = 0;           // offset of buffer_ in the whole text
  size_t released_ = 0;       // everything before is decided and gone
  std::vector<size_t> next_;  // by rule: where its search goes on
  std::vector<Span> spans_;   // of rules that change the text: found, not yet passed, in order
  size_t flagged_until_ = 0;  // everything before is looked through for flags
  size_t masked_until_ = 0;   // inside a masked span
  bool blocked_ = false;
  std::vector<Finding> findings_;
};

struct Verdict {
  bool blocked = false;
  std::string text;  // what may pass: masked, and up to the match that blocked
  std::vector<Finding> findings;
};

// The whole text at once.
Verdict Apply(const RuleSet& rules, std::string_view text);

}  // namespace floe::gateway::guardrails
