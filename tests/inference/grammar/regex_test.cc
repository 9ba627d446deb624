// RE2 is the judge of what an expression matches.
#include "inference/grammar/regex.h"

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <re2/re2.h>

#include "tests/inference/grammar/matching.h"

namespace floe::inference::grammar {
namespace {

using testing::HasSubstr;

Grammar Regex(const std::string& pattern) { return Compiled(Form::Kind::kRegex, pattern); }

const std::vector<std::string>& Patterns() {
  static const std::vector<std::string> kPatterns = {
      "",
      "abc",
      "a|bc|",
      "(a|b)*abb",
      "(?:ab+c?){2,3}",
      "[a-c]{2,}",
      "[^a-c\\n]b.",
      "\\d{3}-\\d{4}",
      "\\w+@\\w+\\.(com|org)",
      "(?P<year>\\d\\d)/(?<month>\\d\\d?)",
      "^a+$|^b$",
      "\\s\\S\\D\\W",
      "[\\w.-]+",
      "[]a]b",
      "[a\\]-]*",
      "\\x41\\x{e9}[\\x{4e00}-\\x{4e0f}]?",
      "(a?){3}b",
      "(a*)*b",
      "((a|b)?c){0,2}",
      "\\$\\^\\{\\}",
      "a{0}b",
      "(x+x+)+y",
      "[\u00e9\u4e2d]+",
      "a??b*?c+?",
  };
  return kPatterns;
}

std::string RandomText(std::mt19937& random) {
  static const std::vector<std::string> kParts = {
      "a", "b",  "c", "x", "y", "0", "1", "9", "-",   "_",      ".",      "@",      "/",
      " ", "\n", "A", "]", "$", "^", "{", "}", "com", "\u00e9", "\u4e05", "\u4e2d", "abb"};
  std::string text;
  for (size_t n = random() % 8; n > 0; --n) text += kParts[random() % kParts.size()];
  return text;
}

TEST(Regex, MatchesTheTextsThatRe2Matches) {
  std::mt19937 random(7);
  for (const std::string& pattern : Patterns()) {
    const Grammar grammar = Regex(pattern);
    const RE2 judge(pattern.find("?<month>") == std::string::npos
                        ? pattern
                        : "(?P<year>\\d\\d)/(?P<month>\\d\\d?)");
    ASSERT_TRUE(judge.ok()) << pattern;
    for (int i = 0; i < 3000; ++i) {
      const std::string text = RandomText(random);
      ASSERT_EQ(Matches(grammar, text), RE2::FullMatch(text, judge)) << pattern << " on " << text;
    }
    for (int i = 0; i < 100; ++i) {
      const std::string text = RandomMatch(grammar, random, 200);
      ASSERT_TRUE(text.empty() || RE2::FullMatch(text, judge)) << pattern << " on " << text;
    }
  }
}

TEST(Regex, ReadsUnicodeEscapes) {
  EXPECT_TRUE(Matches(Regex("\\u00e9\\x{1F600}"), "\u00e9\U0001F600"));
  EXPECT_FALSE(Matches(Regex("\\u00e9"), "\xE9"));
}

struct Refused {
  std::string pattern;
  std::string says;
};

TEST(Regex, RefusesByNameWhatItDoesNotKnow) {
  const std::vector<Refused> cases = {
      {"(a)\\1", "\\1 is not supported"},
      {"(?=a)b", "look-around"},
      {"(?<=a)b", "look-around"},
      {"(?i)a", "flags"},
      {"\\bword\\b", "\\b is not supported"},
      {"\\p{L}", "\\p is not supported"},
      {"a++", "repetition is repeated"},
      {"*a", "nothing stands before"},
      {"a(b", "has no )"},
      {"a)b", "has no ("},
      {"[ab", "has no ]"},
      {"[z-a]", "must go from a character to a later one"},
      {"[[:alpha:]]", "[:"},
      {"a{2,1}", "{n,m}"},
      {"a{99999}", "above 65535"},
      {"a^b", "beginning and end"},
      {"(^a)", "beginning and end"},
      {"\\", "stands at the end"},
      {"\\xZZ", "hexadecimal"},
      {"\\x{110000}", "no Unicode character"},
      {"\\uD800", "no Unicode character"},
      {"a\xFF", "byte 1 is not UTF-8"},
      {std::string(100, '(') + "a" + std::string(100, ')'), "nest deeper"},
      {std::string(kMaxRegexBytes + 1, 'a'), "at most"},
      {"[^\\x00-\\x{10FFFF}]", "no text of finite length"},
  };
  for (const Refused& refused : cases) {
    const auto grammar = CompileForm({Form::Kind::kRegex, refused.pattern});
    EXPECT_TRUE(absl::IsInvalidArgument(grammar.status())) << refused.pattern;
    EXPECT_THAT(std::string(grammar.status().message()), HasSubstr(refused.says))
        << refused.pattern.substr(0, 50);
  }
}

}  // namespace
}  // namespace floe::inference::grammar
