#include "inference/scheduler/stop_matcher.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::inference {
namespace {

// All of what leaves when `text` comes in the given pieces.
std::string Filtered(const std::vector<std::string>& stops, const std::vector<std::string>& pieces,
                     bool* matched) {
  StopMatcher matcher(stops);
  std::string out;
  for (const std::string& piece : pieces) out += matcher.Push(piece);
  out += matcher.Flush();
  *matched = matcher.matched();
  return out;
}

TEST(StopMatcher, FindsAStopTextCutAtEveryPlace) {
  const std::string text = "the cat\n\nUser: hi";
  for (size_t i = 0; i <= text.size(); ++i) {
    for (size_t j = i; j <= text.size(); ++j) {
      bool matched = false;
      EXPECT_EQ(Filtered({"\n\nUser:"}, {text.substr(0, i), text.substr(i, j - i), text.substr(j)},
                         &matched),
                "the cat");
      EXPECT_TRUE(matched);
    }
  }
}

TEST(StopMatcher, NothingOfAStopTextLeavesBeforeItIsDecided) {
  StopMatcher matcher({"abab!"});
  EXPECT_EQ(matcher.Push("xab"), "x");
  EXPECT_EQ(matcher.Push("ab"), "");
  EXPECT_EQ(matcher.Push("ab"), "ab");  // "abab" may still become the stop text
  EXPECT_EQ(matcher.Push("!"), "");
  EXPECT_TRUE(matcher.matched());
  EXPECT_EQ(matcher.Push("more"), "");
  EXPECT_EQ(matcher.Flush(), "");
}

TEST(StopMatcher, WhatWasHeldBackComesAtTheEnd) {
  bool matched = true;
  EXPECT_EQ(Filtered({"STOP"}, {"go ", "ST", "O"}, &matched), "go STO");
  EXPECT_FALSE(matched);
}

TEST(StopMatcher, TheOutcomeDoesNotDependOnTheCut) {
  for (const auto& pieces : std::vector<std::vector<std::string>>{
           {"abcd"}, {"a", "b", "c", "d"}, {"ab", "cd"}, {"abc", "d"}}) {
    bool matched = false;
    EXPECT_EQ(Filtered({"abcd", "bc"}, pieces, &matched), "a");
  }
}

TEST(StopMatcher, OfSeveralThatEndTogetherTheLongestWins) {
  bool matched = false;
  EXPECT_EQ(Filtered({"c", "bc", ""}, {"abc"}, &matched), "a");
}

TEST(StopMatcher, WithoutStopTextsEverythingPasses) {
  bool matched = true;
  EXPECT_EQ(Filtered({}, {"a", "", "b"}, &matched), "ab");
  EXPECT_FALSE(matched);
}

}  // namespace
}  // namespace floe::inference
