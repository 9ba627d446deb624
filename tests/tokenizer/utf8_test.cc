#include "tokenizer/unicode/utf8.h"

#include <gtest/gtest.h>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/unicode/char_class.h"

namespace floe::tokenizer {
namespace {

TEST(Utf8Test, EveryCodePointIsReadAsWritten) {
  for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    AppendUtf8(c, text);
    EXPECT_EQ(ReadUtf8(text, 0).code_point, c);
    EXPECT_EQ(ReadUtf8(text, 0).length, text.size());
    EXPECT_EQ(ReplaceInvalidUtf8(text), text);
  }
}

TEST(Utf8Test, RefusesOverlongSurrogateAndOutOfRangeForms) {
  for (const char* bad :
       {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80", "\xFF", "\xE2\x82"}) {
    EXPECT_EQ(ReadUtf8(bad, 0).code_point, kNotUtf8);
    EXPECT_EQ(ReadUtf8(bad, 0).length, 1u);
  }
}

// The example of the Unicode Standard 15.0, table 3-11 and the text around it.
TEST(Utf8Test, ReplacesEachMaximalIllFormedPartOnce) {
  const std::string r = "\uFFFD";
  EXPECT_EQ(ReplaceInvalidUtf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
  EXPECT_EQ(ReplaceInvalidUtf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(ReplaceInvalidUtf8("a\xE2\x82"), "a" + r);
}

TEST(Utf8Test, MeasuresTheTailThatMayBecomeACharacter) {
  EXPECT_EQ(IncompleteUtf8Tail("abc"), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("a\xE2"), 1u);
  EXPECT_EQ(IncompleteUtf8Tail("a\xE2\x82"), 2u);
  EXPECT_EQ(IncompleteUtf8Tail("a\xF0\x9F\x99"), 3u);
  EXPECT_EQ(IncompleteUtf8Tail("a\xF0\x9F\x99\x82"), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("a\xE0\x80"), 0u);  // can become nothing
  EXPECT_EQ(IncompleteUtf8Tail("\x80\x80\x80\x80"), 0u);
}

TEST(CharClassTest, KnowsTheClassesOfWellKnownCharacters) {
  for (const char32_t c :
       {U'a', U'\u00E9', U'\u4E2D', U'\u02B0', U'\u00AA', U'\uAC00', U'\U00020000'}) {
    EXPECT_EQ(ClassOf(c), CharClass::kLetter) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U'0', U'\u00B2', U'\u00BD', U'\u2167', U'\u0663', U'\U0001D7D8'}) {
    EXPECT_EQ(ClassOf(c), CharClass::kNumber) << static_cast<uint32_t>(c);
  }
  for (const char32_t c :
       {U' ', U'\u0085', U'\u00A0', U'\u1680', U'\u2028', U'\u202F', U'\u3000'}) {
    EXPECT_EQ(ClassOf(c), CharClass::kSpace) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U'!', U'\u001C', U'\u0301', U'\u200B', U'\u180E', U'\uFEFF',
                           U'\U0001F642', static_cast<char32_t>(0x110000)}) {
    EXPECT_EQ(ClassOf(c), CharClass::kOther) << static_cast<uint32_t>(c);
  }
}

TEST(ByteAlphabetTest, SpellsBytesAsGpt2Does) {
  EXPECT_EQ(SpellBytes(" a\n"), "\u0120a\u010A");
  EXPECT_EQ(SpellBytes(std::string("\0", 1)), "\u0100");
  EXPECT_EQ(SpellBytes("\xAD"), "\u0143");
  EXPECT_EQ(ByteOfRank(0), '!');
  EXPECT_EQ(ByteOfRank(255), 0xAD);
  EXPECT_EQ(UnspellBytes(" "), std::nullopt);
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    all.push_back(static_cast<char>(byte));
    EXPECT_EQ(ByteOfRank(RankOfByte(static_cast<uint8_t>(byte))), byte);
  }
  EXPECT_EQ(UnspellBytes(SpellBytes(all)), all);
}

}  // namespace
}  // namespace floe::tokenizer
