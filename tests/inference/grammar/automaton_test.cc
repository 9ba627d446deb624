// What bounds the work on a grammar, and what states survive.
#include "inference/grammar/automaton.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/grammar/expression.h"
#include "tests/inference/grammar/matching.h"

namespace floe::inference::grammar {
namespace {

using testing::HasSubstr;

Grammar Regex(const std::string& pattern) { return Compiled(Form::Kind::kRegex, pattern); }

// s ::= "(" s ")" | "x"
Grammar Nested() {
  Draft draft;
  draft.rules.push_back(
      {"s", Expression::Choice({Expression::Sequence({Expression::Literal("("), Expression::Rule(0),
                                                      Expression::Literal(")")}),
                                Expression::Literal("x")})});
  return *Grammar::Compile(draft);
}

Automaton::State Feed(Automaton& automaton, Automaton::State state, std::string_view text) {
  for (const char c : text) {
    if (state < 0) return state;
    automaton.BeginWork();
    state = automaton.Next(state, static_cast<uint8_t>(c));
  }
  return state;
}

TEST(Automaton, CountsWhatNoFiniteAutomatonCounts) {
  const Grammar grammar = Nested();
  EXPECT_TRUE(Matches(grammar, "x"));
  EXPECT_TRUE(Matches(grammar, std::string(500, '(') + "x" + std::string(500, ')')));
  EXPECT_FALSE(Matches(grammar, std::string(500, '(') + "x" + std::string(499, ')')));
  EXPECT_FALSE(Matches(grammar, std::string(500, '(') + "x" + std::string(501, ')')));
}

// a ::= "x" a | "y": a loop in another form.
TEST(Automaton, RightRecursionTakesNoStack) {
  Draft draft;
  draft.rules.push_back(
      {"a",
       Expression::Choice({Expression::Sequence({Expression::Literal("x"), Expression::Rule(0)}),
                           Expression::Literal("y")})});
  const Grammar grammar = *Grammar::Compile(draft);
  Automaton automaton(grammar);
  Feed(automaton, automaton.Start(), std::string(100'000, 'x'));
  EXPECT_LT(automaton.num_states(), 5u);
}

TEST(Automaton, TrimKeepsWhatIsInUse) {
  const Grammar grammar = Nested();
  Automaton automaton(grammar);
  Automaton::State deep = Feed(automaton, automaton.Start(), std::string(9000, '('));
  Automaton::State start = automaton.Start();
  ASSERT_TRUE(automaton.crowded());
  std::vector<Automaton::State*> used = {&deep, &start};
  automaton.Trim(used);
  EXPECT_FALSE(automaton.crowded());
  EXPECT_EQ(automaton.num_states(), 3u);  // with the dead one
  EXPECT_EQ(start, automaton.Start());
  const Automaton::State end = Feed(automaton, deep, "x" + std::string(4000, ')'));
  EXPECT_GT(end, Automaton::kDead);
  EXPECT_FALSE(automaton.accepting(end));
}

TEST(Automaton, CompleteIsWhereNothingCanFollow) {
  const Grammar grammar = Regex("ab?");
  Automaton automaton(grammar);
  const Automaton::State a = Feed(automaton, automaton.Start(), "a");
  const Automaton::State ab = Feed(automaton, automaton.Start(), "ab");
  EXPECT_TRUE(automaton.accepting(a));
  EXPECT_FALSE(automaton.complete(a));
  EXPECT_TRUE(automaton.complete(ab));
}

// 2^20 subsets: memory and work stay within their limits, and it says so.
TEST(Bombs, ExponentialSubsetsEndInTooComplex) {
  const Grammar grammar = Regex("(a|b)*a(a|b){20}");
  Automaton automaton(grammar);
  uint32_t bits = 1;
  bool stopped = false;
  for (int i = 0; i < 200'000 && !stopped; ++i) {
    Automaton::State state = automaton.Start();
    std::string text;
    for (int j = 0; j < 24; ++j) {
      bits = bits * 1664525 + 1013904223;
      text.push_back(bits >> 31 != 0 ? 'a' : 'b');
    }
    stopped = Feed(automaton, state, text) == Automaton::kTooComplex;
  }
  EXPECT_TRUE(stopped);
  EXPECT_LE(automaton.num_states(), Automaton::kMaxStates);
}

TEST(Bombs, RepeatedRepetitionsGrowByTheirSum) {
  EXPECT_LT(Regex("(((a{1000}){1000}){1000}){1000}").size(), 20'000u);
}

TEST(Bombs, TooManyNodesAreRefused) {
  for (const char* pattern : {"[ab]{65535}", "(abc){20000}(def){20000}"}) {
    const auto grammar = CompileForm({Form::Kind::kRegex, pattern});
    EXPECT_THAT(std::string(grammar.status().message()), HasSubstr("more than 32768 nodes"));
  }
}

TEST(Bombs, ACrowdOfEmptyRepetitionsIsTooComplex) {
  const Grammar grammar = Regex("(((a?){500}){500}){500}");
  Automaton automaton(grammar);
  EXPECT_EQ(automaton.Start(), Automaton::kTooComplex);
}

TEST(Bombs, LeftRecursionIsRefusedByTheRuleThatHasIt) {
  Draft draft;
  const auto rule = [](int index) { return Expression::Rule(index); };
  draft.rules.push_back({"root", Expression::Sequence({Expression::Literal("x"), rule(1)})});
  draft.rules.push_back({"one", Expression::Sequence({Expression::Optional(rule(3)), rule(2)})});
  draft.rules.push_back({"two", Expression::Choice({rule(1), Expression::Literal("y")})});
  draft.rules.push_back({"three", Expression::Literal("z")});
  const auto grammar = Grammar::Compile(draft);
  EXPECT_TRUE(absl::IsInvalidArgument(grammar.status()));
  EXPECT_THAT(
      std::string(grammar.status().message()),
      testing::AnyOf(HasSubstr("rule one calls itself"), HasSubstr("rule two calls itself")));
}

TEST(Grammar, LeavesOutWhatReachesNoEnd) {
  // root ::= "a" | "b" endless; endless ::= "c" endless
  Draft draft;
  draft.rules.push_back(
      {"root", Expression::Choice(
                   {Expression::Literal("a"),
                    Expression::Sequence({Expression::Literal("b"), Expression::Rule(1)})})});
  draft.rules.push_back(
      {"endless", Expression::Sequence({Expression::Literal("c"), Expression::Rule(1)})});
  const Grammar grammar = *Grammar::Compile(draft);
  Automaton automaton(grammar);
  EXPECT_EQ(Feed(automaton, automaton.Start(), "b"), Automaton::kDead);
  EXPECT_TRUE(Matches(grammar, "a"));
}

}  // namespace
}  // namespace floe::inference::grammar
