#include "inference/grammar/code_points.h"

#include "gtest/gtest.h"

#include "tokenizer/unicode/utf8.h"

namespace floe::inference::grammar {
namespace {

bool Matches(const Utf8Sequence& sequence, const std::string& bytes) {
  if (sequence.length != static_cast<int>(bytes.size())) return false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (byte < sequence.bytes[i].low || byte > sequence.bytes[i].high) return false;
  }
  return true;
}

TEST(CodePointSet, JoinsWhatTouchesAndLeavesSurrogatesOut) {
  const CodePointSet set({{'d', 'f'}, {'a', 'c'}, {0xD000, 0xE000}, {0x10FFFF, 0xFFFFFFFE}});
  EXPECT_EQ(set.ranges(),
            (std::vector<CodePointSet::Range>{
                {'a', 'f'}, {0xD000, 0xD7FF}, {0xE000, 0xE000}, {0x10FFFF, 0x10FFFF}}));
  EXPECT_EQ(set.Negated().Negated(), set);
  EXPECT_EQ(set.Without(CodePointSet({{'b', 'e'}})).ranges()[1], (CodePointSet::Range{'f', 'f'}));
}

// Every character of Unicode is spelt by exactly one sequence of the sets it is in.
TEST(Utf8Sequences, SpellEveryCharacterOfTheSetOnceAndNoOther) {
  const CodePointSet set(
      {{'a', 'z'}, {0x80, 0x7FF}, {0x900, 0x20AC}, {0xFFF0, 0x12345}, {0x1F600, 0x1F64F}});
  const std::vector<Utf8Sequence> sequences = Utf8Sequences(set);
  for (char32_t c = 0; c <= kMaxCodePoint; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string bytes;
    tokenizer::AppendUtf8(c, bytes);
    int matches = 0;
    for (const Utf8Sequence& sequence : sequences) matches += Matches(sequence, bytes) ? 1 : 0;
    ASSERT_EQ(matches, set.Contains(c) ? 1 : 0) << "U+" << std::hex << static_cast<uint32_t>(c);
  }
}

TEST(Utf8Sequences, SpellAllOfUnicodeInAFewSequences) {
  EXPECT_LE(Utf8Sequences(CodePointSet().Negated()).size(), 9u);
}

TEST(CodePointsOf, NamesThePlaceOfWhatIsNoUtf8) {
  EXPECT_EQ(CodePointsOf("a\u00e9")->size(), 2u);
  EXPECT_EQ(CodePointsOf("ab\xFF").status().message(), "byte 2 is not UTF-8");
}

}  // namespace
}  // namespace floe::inference::grammar
