#include "inference/grammar/ebnf.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/inference/grammar/matching.h"

namespace floe::inference::grammar {
namespace {

using testing::HasSubstr;

Grammar Ebnf(const std::string& text) { return Compiled(Form::Kind::kEbnf, text); }

TEST(Ebnf, ReadsWhatLlamaCppWrites) {
  const Grammar grammar = Ebnf(R"gbnf(# arithmetic
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*   # left to right
term  ::= ident | num |
          "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
)gbnf");
  EXPECT_TRUE(Matches(grammar, "x=5\n"));
  EXPECT_TRUE(Matches(grammar, "(a +2)*b_1 = 7\ny=(1)\n"));
  EXPECT_FALSE(Matches(grammar, "(a + 2=7\n"));
  EXPECT_FALSE(Matches(grammar, "x=5"));
}

TEST(Ebnf, ReadsEscapesSetsAndRepetitions) {
  const Grammar grammar = Ebnf(
      "root ::= \"\\x41\\u00e9\\U0001F600\\\"\\\\\" [\\]\\-a-c]{2} [^\\n]? . {1,2}\n"
      "other ::= root*\n");
  EXPECT_TRUE(Matches(grammar, "A\u00e9\U0001F600\"\\]-\n"));
  EXPECT_TRUE(Matches(grammar, "A\u00e9\U0001F600\"\\bcx\u4e2d\n"));
  EXPECT_FALSE(Matches(grammar, "A\u00e9\U0001F600\"\\d-\n"));
}

TEST(Ebnf, ARuleGoesOnOverLinesUntilTheNextBegins) {
  const Grammar grammar = Ebnf("root ::=\n  \"a\" (\n \"b\"\n | \"c\" )\n\n\nnext ::= \"d\"");
  EXPECT_TRUE(Matches(grammar, "ac"));
  EXPECT_FALSE(Matches(grammar, "acd"));
  EXPECT_TRUE(Matches(Ebnf("a ::= \"x\"\nroot ::= a a"), "xx"));
  EXPECT_TRUE(Matches(Ebnf("root ::= \"x\" |"), ""));
}

// The same language as the regular expression on the right.
TEST(Ebnf, MatchesWhatTheSameRegularExpressionMatches) {
  const Grammar ebnf = Ebnf("root ::= (\"ab\" | c)* [0-9]{2,3} \"!\"?\nc ::= \"c\"+");
  const Grammar regex = Compiled(Form::Kind::kRegex, "(ab|c+)*[0-9]{2,3}!?");
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    EXPECT_TRUE(Matches(regex, RandomMatch(ebnf, random, 100)) || i == 0);
    EXPECT_TRUE(Matches(ebnf, RandomMatch(regex, random, 100)));
  }
}

struct Refused {
  std::string grammar;
  std::string says;
};

TEST(Ebnf, RefusesWithThePlace) {
  const std::vector<Refused> cases = {
      {"", "there is no rule root"},
      {"a ::= \"x\"", "there is no rule root"},
      {"root ::= word", "there is no rule word; write word ::= "},
      {"root ::= \"x\"\nroot ::= \"y\"", "the rule root is there twice"},
      {"root = \"x\"", "at character 5: the rule root has no ::="},
      {"root ::= \"x", "does not end on its line"},
      {"root ::= [a", "has no ]"},
      {"root ::= [z-a]", "to a later one"},
      {"root ::= (\"x\"", "has no )"},
      {"root ::= \"x\")", "has no ("},
      {"root ::= \"\\q\"", "known escapes"},
      {"root ::= \"x\"{3,2}", "{n,m}"},
      {"root ::= %", "no text, set, group or name"},
      {"::= \"x\"", "begins with its name"},
      {"root ::= root \"x\" | \"y\"", "rule root calls itself"},
      {"root ::= \"x\"? root | \"y\"", "rule root calls itself"},
      {"root ::= root", "no text of finite length"},
      {"root ::= \"x\" root", "no text of finite length"},
      {"root ::= " + std::string(100, '(') + "\"x\"" + std::string(100, ')'), "nest deeper"},
      {"root ::= \"x\"" + std::string(100, '*'), "stand in one row"},
      {std::string(kMaxEbnfBytes + 1, '#'), "at most"},
      {"root ::= \"\xFF\"", "byte 10 is not UTF-8"},
  };
  for (const Refused& refused : cases) {
    const auto grammar = CompileForm({Form::Kind::kEbnf, refused.grammar});
    EXPECT_TRUE(absl::IsInvalidArgument(grammar.status())) << refused.grammar.substr(0, 50);
    EXPECT_THAT(std::string(grammar.status().message()), HasSubstr(refused.says))
        << refused.grammar.substr(0, 50);
  }
}

// A lookahead over the white space before every rule stays linear.
TEST(Ebnf, ReadsAsMuchAsIsAllowedAtOnce) {
  std::string grammar = "root ::= r1\n";
  for (int i = 1; grammar.size() < kMaxEbnfBytes - 100; ++i) {
    grammar += absl::StrCat("r", i, " ::= \"x\" | r", i + 1, "\n");
  }
  const auto compiled =
      CompileForm({Form::Kind::kEbnf, grammar.substr(0, grammar.rfind("|")) + "\n"});
  EXPECT_TRUE(compiled.ok()) << compiled.status();
}

}  // namespace
}  // namespace floe::inference::grammar
