#include "tokenizer/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::tokenizer {
namespace {

using namespace std::string_view_literals;
using testing::ElementsAre;

struct Golden {
  std::string_view text;
  std::vector<size_t> gpt2, cl100k, qwen2;
};

const std::vector<Golden>& Goldens() {
  static const auto* goldens = new std::vector<Golden>{
#include "tests/tokenizer/golden_pieces.inc"
  };
  return *goldens;
}

std::vector<size_t> Lengths(Pattern pattern, std::string_view text) {
  std::vector<size_t> lengths;
  for (const std::string_view piece : SplitPieces(pattern, text)) lengths.push_back(piece.size());
  return lengths;
}

TEST(PretokenizerTest, Gpt2CutsWhereARegexEngineCuts) {
  for (const Golden& golden : Goldens()) {
    EXPECT_EQ(Lengths(Pattern::kGpt2, golden.text), golden.gpt2) << golden.text;
  }
}

TEST(PretokenizerTest, Cl100kCutsWhereARegexEngineCuts) {
  for (const Golden& golden : Goldens()) {
    EXPECT_EQ(Lengths(Pattern::kCl100k, golden.text), golden.cl100k) << golden.text;
  }
}

TEST(PretokenizerTest, Qwen2CutsWhereARegexEngineCuts) {
  for (const Golden& golden : Goldens()) {
    EXPECT_EQ(Lengths(Pattern::kQwen2, golden.text), golden.qwen2) << golden.text;
  }
}

TEST(PretokenizerTest, O200kCutsWhereARegexEngineCuts) {
  const std::vector<std::pair<std::string_view, std::vector<size_t>>> goldens = {
#include "tests/tokenizer/golden_pieces_o200k.inc"
  };
  ASSERT_GT(goldens.size(), 400u);
  for (const auto& [text, lengths] : goldens) {
    EXPECT_EQ(Lengths(Pattern::kO200k, text), lengths) << text;
  }
}

TEST(PretokenizerTest, LongSEndsAContractionOnlyWhereCaseIsIgnored) {
  EXPECT_THAT(SplitPieces(Pattern::kQwen2, "it'\u017Fx"), ElementsAre("it", "'\u017F", "x"));
  EXPECT_THAT(SplitPieces(Pattern::kGpt2, "it'\u017Fx"), ElementsAre("it", "'", "\u017Fx"));
}

TEST(PretokenizerTest, BadBytesAreSymbolsOfTheirOwnKind) {
  EXPECT_THAT(SplitPieces(Pattern::kGpt2, "ab\xFF\xFE cd\xE2\x82"),
              ElementsAre("ab", "\xFF\xFE", " cd", "\xE2\x82"));
  EXPECT_THAT(SplitPieces(Pattern::kQwen2, "\xC3"), ElementsAre("\xC3"));
}

TEST(PretokenizerTest, PiecesOfRandomBytesPutTogetherAreTheInput) {
  std::mt19937 random(7);
  for (const Pattern pattern :
       {Pattern::kGpt2, Pattern::kCl100k, Pattern::kQwen2, Pattern::kO200k}) {
    for (int round = 0; round < 300; ++round) {
      const std::string text =
          round % 2 ? RandomBytes(random, random() % 60) : RandomText(random, random() % 40);
      std::string joined;
      for (const std::string_view piece : SplitPieces(pattern, text)) {
        EXPECT_FALSE(piece.empty());
        joined += piece;
      }
      EXPECT_EQ(joined, text);
    }
  }
}

TEST(PretokenizerTest, NamesAndRegexesLeadBackToTheirPattern) {
  for (const Pattern pattern :
       {Pattern::kGpt2, Pattern::kCl100k, Pattern::kQwen2, Pattern::kO200k}) {
    EXPECT_EQ(PatternFromName(PatternName(pattern)), pattern);
    EXPECT_EQ(PatternFromRegex(PatternRegex(pattern)), pattern);
  }
  EXPECT_EQ(PatternFromName("p99k"), std::nullopt);
  EXPECT_EQ(PatternFromRegex("\\w+"), std::nullopt);
}

}  // namespace
}  // namespace floe::tokenizer
