#include "gateway/guardrails/rules.h"

#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::gateway::guardrails {
namespace {

using testing::ElementsAre;

Rule BuiltIn(std::string_view name, Action action) { return {*BuiltInDetector(name), action}; }
Rule Words(std::vector<std::string> words, Action action) {
  return {*WordListDetector("words", words), action};
}
Rule Pattern(std::string pattern, Action action, size_t max_length = 16) {
  return {*Detector::Create(
              {.name = "pattern", .pattern = std::move(pattern), .max_length = max_length}),
          action};
}

RuleSet Of(std::vector<Rule> rules) { return RuleSet(std::move(rules)); }
template <typename... Rules>
RuleSet SetOf(Rules... rules) {
  std::vector<Rule> all;
  (all.push_back(std::move(rules)), ...);
  return Of(std::move(all));
}

// What leaves when a text arrives in these pieces.
std::string Stream(const RuleSet& rules, const std::vector<std::string>& pieces) {
  StreamGuard guard(rules);
  std::string out;
  for (const std::string& piece : pieces) out += guard.Push(piece);
  return out + guard.Finish();
}

TEST(Apply, MasksAndRecordsWithoutTheText) {
  const RuleSet rules = SetOf(BuiltIn("email", Action::kMask), BuiltIn("card", Action::kMask));
  const Verdict verdict = Apply(rules, "I am a@b.example, card 4111 1111 1111 1111.");
  EXPECT_FALSE(verdict.blocked);
  EXPECT_EQ(verdict.text, "I am [email], card [card].");
  EXPECT_THAT(verdict.findings, ElementsAre(Finding{"email", Action::kMask, 5, 11},
                                            Finding{"card", Action::kMask, 23, 19}));
}

TEST(Apply, BlocksFromTheMatchOn) {
  const Verdict verdict =
      Apply(SetOf(Words({"blue falcon"}, Action::kBlock)), "the blue falcon flies");
  EXPECT_TRUE(verdict.blocked);
  EXPECT_EQ(verdict.text, "the ");
}

TEST(Apply, FlagsLeaveTheTextAlone) {
  const Verdict verdict = Apply(SetOf(BuiltIn("phone", Action::kFlag)), "call +49 30 901820");
  EXPECT_EQ(verdict.text, "call +49 30 901820");
  EXPECT_EQ(verdict.findings.size(), 1u);
}

TEST(Apply, OverlappingMasksBecomeOne) {
  const RuleSet rules = SetOf(Pattern("abcd", Action::kMask), Pattern("cdef", Action::kMask));
  EXPECT_EQ(Apply(rules, "xabcdefy").text, "x[pattern]y");
}

TEST(Apply, TheSternerRuleCountsAtTheSamePlace) {
  const RuleSet rules = SetOf(Pattern("ab", Action::kMask), Pattern("a", Action::kBlock));
  EXPECT_TRUE(Apply(rules, "xab").blocked);
}

TEST(StreamGuard, APhraseCutAnywhereNeverLeavesInPart) {
  const std::string text = "All know that the blue falcon landed here last night, they say.";
  const RuleSet rules = SetOf(Words({"blue falcon landed"}, Action::kBlock));
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); ++second) {
      const std::string out = Stream(
          rules, {text.substr(0, first), text.substr(first, second - first), text.substr(second)});
      ASSERT_EQ(out, "All know that the ") << first << " " << second;
    }
  }
}

TEST(StreamGuard, ByteByByteIsTheSameAsAtOnce) {
  const RuleSet rules = SetOf(BuiltIn("email", Action::kMask), BuiltIn("card", Action::kMask),
                              BuiltIn("iban", Action::kMask), BuiltIn("phone", Action::kMask));
  const std::string text =
      "Write ada@mail.example or +49 30 901820; pay 4111-1111-1111-1111 or from "
      "DE89 3704 0044 0532 0130 00. \xc3\xa9t\xc3\xa9 4111 1111 1111 1112 stays.";
  std::vector<std::string> bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  EXPECT_EQ(Stream(rules, bytes), Apply(rules, text).text);
  EXPECT_EQ(Apply(rules, text).text,
            "Write [email] or [phone]; pay [card] or from [iban]. \xc3\xa9t\xc3\xa9 4111 1111 1111 "
            "1112 stays.");
}

// Any rules, any text, any cuts: the stream releases exactly what the whole text gives.
TEST(StreamGuard, CutsNeverChangeWhatLeaves) {
  const std::vector<std::string> patterns = {"ab",       "a[bc]{1,5}d",  "b+", "\\bca?b",
                                             "c.{0,4}a", "(?:ab|abcab)", "^b", "d\\b"};
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    std::mt19937 random(seed);
    std::vector<Rule> chosen;
    for (int i = 0; i < 1 + static_cast<int>(random() % 3); ++i) {
      const Action action = static_cast<Action>(random() % 4 == 0 ? 2 : random() % 2);
      chosen.push_back(Pattern(patterns[random() % patterns.size()], action, 2 + random() % 7));
    }
    const RuleSet rules = Of(std::move(chosen));
    std::string text;
    for (int i = 0; i < 60; ++i) text += "abcd "[random() % 5];
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size();) {
      const size_t length = random() % 7;
      pieces.push_back(text.substr(at, length));
      at += length;
    }
    ASSERT_EQ(Stream(rules, pieces), Apply(rules, text).text) << "seed " << seed << ": " << text;
  }
}

TEST(StreamGuard, HoldsBackNoMoreThanItsWindow) {
  const RuleSet rules = SetOf(Words({"blue falcon"}, Action::kBlock));
  StreamGuard guard(rules);
  size_t pushed = 0;
  size_t released = 0;
  for (int i = 0; i < 1000; ++i) {
    pushed += 3;
    released += guard.Push("abc").size();
    ASSERT_LE(pushed - released, rules.window());
  }
}

TEST(StreamGuard, FlagsHoldNothingBackAndFindTheSame) {
  const RuleSet rules = SetOf(BuiltIn("secret", Action::kFlag), BuiltIn("card", Action::kFlag));
  EXPECT_EQ(rules.window(), 0u);
  std::string text;
  for (int i = 0; i < 200; ++i) text += i % 20 == 7 ? "4111 1111 1111 1111 " : "some words here ";
  StreamGuard guard(rules);
  for (const char c : text) ASSERT_EQ(guard.Push(std::string(1, c)), std::string(1, c));
  EXPECT_EQ(guard.Finish(), "");
  EXPECT_EQ(guard.findings(), Apply(rules, text).findings);
  EXPECT_EQ(guard.findings().size(), 10u);
}

TEST(StreamGuard, AFlagBeforeABlockIsRecordedAndOneBehindItIsNot) {
  const RuleSet rules = SetOf(BuiltIn("card", Action::kFlag), Words({"falcon"}, Action::kBlock));
  StreamGuard guard(rules);
  EXPECT_EQ(guard.Push("4111 1111 1111 1111, a falcon, 4111 1111 1111 1111") + guard.Finish(),
            "4111 1111 1111 1111, a ");
  EXPECT_THAT(guard.findings(), ElementsAre(Finding{"card", Action::kFlag, 0, 19},
                                            Finding{"words", Action::kBlock, 23, 6}));
}

TEST(StreamGuard, NeverReleasesHalfACharacter) {
  const RuleSet rules = SetOf(Pattern("x", Action::kMask, 1));
  StreamGuard guard(rules);
  for (int i = 0; i < 40; ++i) {
    for (const char c : std::string("a\xe2\x82\xac")) {
      const std::string out = guard.Push(std::string(1, c));
      EXPECT_TRUE(out.empty() || out == "a" || out == "\xe2\x82\xac");
    }
  }
}

TEST(StreamGuard, AfterABlockNothingMoreLeaves) {
  const RuleSet rules = SetOf(Words({"falcon"}, Action::kBlock));
  StreamGuard guard(rules);
  const std::string out =
      guard.Push("a falcon and much more text behind it, so that it is decided");
  EXPECT_EQ(out, "a ");
  EXPECT_TRUE(guard.blocked());
  EXPECT_EQ(guard.Push("more") + guard.Finish(), "");
}

TEST(StreamGuard, WithoutRulesItHoldsNothingBack) {
  const RuleSet none = SetOf();
  StreamGuard open(none);
  EXPECT_EQ(open.Push("at once"), "at once");
}

}  // namespace
}  // namespace floe::gateway::guardrails
