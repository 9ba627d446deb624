#include "tokenizer/text_cutter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::tokenizer {
namespace {

using testing::ElementsAre;

constexpr Pattern kPatterns[] = {Pattern::kGpt2, Pattern::kCl100k, Pattern::kQwen2,
                                 Pattern::kO200k};

// What makes cutting hard: contractions, runs of white space, marks, letters without case, halves
// of characters, and anything else.
std::string HardText(std::mt19937& random, int parts) {
  static const char* const kParts[] = {
      "don't",        "WE'VE",   "it'\xC5\xBF", "'",        " ",      "  ",
      "\n",           "\r\n \n", "\u3000",      "e\u0301",  "\u0301", "\u02B0",
      "ABC",          "x",       "12345",       "\u0663",   ".",      "//\n",
      "\u4F60\u597D", "\u3002",  "\xE2\x80",    "\xF0\x9F", "\xFF",   "\u1100\u1161",
      "\u1161",       "\u212B"};
  std::string text;
  for (int i = 0; i < parts; ++i) {
    text += random() % 5 == 0 ? RandomText(random, 3) : kParts[random() % std::size(kParts)];
  }
  return text;
}

TEST(TextCutterTest, CutsWhereAWordOrNumberEnds) {
  EXPECT_EQ(LastCertainCut("one two"), 3u);
  EXPECT_EQ(LastCertainCut("one, two. "), 8u);
  EXPECT_EQ(LastCertainCut("x 12"), 1u);
  EXPECT_EQ(LastCertainCut("12;34"), 2u);
  EXPECT_EQ(LastCertainCut("they'll"), 0u);
  EXPECT_EQ(LastCertainCut("e\u0301"), 0u);
  EXPECT_EQ(LastCertainCut("....    "), 0u);
  EXPECT_EQ(LastCertainCut("a\xE2\x80"), 0u);  // may become a mark
  EXPECT_EQ(LastCertainCut(""), 0u);
}

TEST(TextCutterTest, AStreamHasTheIdsOfTheWhole) {
  std::mt19937 random(5);
  for (const Pattern pattern : kPatterns) {
    for (const bool nfc : {false, true}) {
      Vocabulary vocabulary = TrainSample(pattern);
      vocabulary.normalize_nfc = nfc;
      const auto tokenizer = Tokenizer::Create(std::move(vocabulary)).value();
      for (int round = 0; round < 200; ++round) {
        const std::string text = HardText(random, 40);
        TextCutter cutter;
        std::vector<TokenId> ids;
        for (size_t at = 0; at < text.size();) {
          const size_t length = 1 + random() % 12;
          tokenizer->EncodeTo(cutter.Push(std::string_view(text).substr(at, length)), ids);
          at += length;
        }
        tokenizer->EncodeTo(cutter.Flush(), ids);
        ASSERT_EQ(ids, tokenizer->Encode(text)) << PatternName(pattern) << ", NFC " << nfc;
      }
    }
  }
}

TEST(TextCutterTest, HoldsLittleOfOrdinaryText) {
  TextCutter cutter;
  std::string ready;
  for (int i = 0; i < 1000; ++i) {
    ready += cutter.Push("a word, and ");
    EXPECT_LT(12 * static_cast<size_t>(i + 1) - ready.size(), 24u);
  }
}

TEST(TextCutterTest, PartsAreTheTextAndNotTooSmall) {
  std::mt19937 random(6);
  for (int round = 0; round < 100; ++round) {
    const std::string text = HardText(random, 100);
    const auto parts = CutIntoParts(text, 20);
    std::string together;
    for (const std::string_view part : parts) together += part;
    EXPECT_EQ(together, text);
  }
  EXPECT_THAT(CutIntoParts("one two three four", 8), ElementsAre("one two", " three", " four"));
  EXPECT_THAT(CutIntoParts("................", 8), ElementsAre("................"));
  EXPECT_THAT(CutIntoParts("............ a b", 4), ElementsAre("............ a", " b"));
}

TEST(TextCutterTest, ALongTextOverThreadsHasTheSameIds) {
  std::mt19937 random(7);
  const auto tokenizer = SampleTokenizer(Pattern::kO200k);
  const std::string text = HardText(random, 300000);
  ASSERT_GT(text.size(), size_t{1} << 20);
  const std::string_view views[] = {text, "", "short"};
  const auto ids = tokenizer->EncodeBatch(views, 3);
  EXPECT_EQ(ids[0], tokenizer->Encode(text));
  EXPECT_TRUE(ids[1].empty());
  EXPECT_EQ(ids[2], tokenizer->Encode("short"));
}

}  // namespace
}  // namespace floe::tokenizer
