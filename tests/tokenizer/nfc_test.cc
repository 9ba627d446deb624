#include "tokenizer/unicode/nfc.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>

#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::tokenizer {
namespace {

TEST(NfcTest, ComposesAsTheStandardSays) {
  const std::pair<std::string, std::string> golden[] = {
      {"e\u0301", "\u00E9"},
      {"\u00C5", "\u00C5"},
      {"\u212B", "\u00C5"},                // Angstrom sign
      {"\u1E0B\u0323", "\u1E0D\u0307"},    // marks take the order of their classes
      {"q\u0307\u0323", "q\u0323\u0307"},  // nothing to compose with
      {"\u0958", "\u0915\u093C"},          // a composition exclusion
      {"\u1112\u1161\u11AB", "\uD55C"},    // Hangul: three jamo
      {"\uD558\u11AB", "\uD55C"},          // a syllable and its last jamo
      {"\uD55C\u11A8", "\uD55C\u11A8"},    // already has one
      {"\u0344", "\u0308\u0301"},          // singleton of two marks
      {"a\u0315\u0300\u05AE\u0300b", "\u00E0\u05AE\u0300\u0315b"},
      {"\u0B47\u0300\u0B3E", "\u0B47\u0300\u0B3E"},  // blocked
      {"\U0001D15E", "\U0001D157\U0001D165"},
      {"\uFB01", "\uFB01"},  // compatibility forms stay
  };
  for (const auto& [text, expected] : golden) EXPECT_EQ(ToNfc(text), expected) << text;
}

TEST(NfcTest, NormalizedTextStaysAsItIs) {
  std::mt19937 random(31);
  for (int round = 0; round < 300; ++round) {
    const std::string once = ToNfc(RandomText(random, random() % 60));
    EXPECT_EQ(ToNfc(once), once);
  }
}

TEST(NfcTest, BytesThatAreNoUtf8Stay) {
  EXPECT_EQ(ToNfc("e\xFF\u0301\xCC"), "e\xFF\u0301\xCC");
  EXPECT_TRUE(IsPlainlyNfc("caf\u00E9"));
  EXPECT_FALSE(IsPlainlyNfc("e\u0301"));
}

TEST(NfcTest, ATokenizerWithNfcEncodesBothFormsAlike) {
  Vocabulary vocabulary = TrainSample();
  vocabulary.normalize_nfc = true;
  const auto tokenizer = Tokenizer::Load(Tokenizer::Create(vocabulary).value()->ToJson()).value();
  EXPECT_EQ(tokenizer->Encode("cafe\u0301"), tokenizer->Encode("caf\u00E9"));
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("cafe\u0301")).value(), "caf\u00E9");
  EXPECT_NE(SampleTokenizer()->Encode("cafe\u0301"), SampleTokenizer()->Encode("caf\u00E9"));
}

}  // namespace
}  // namespace floe::tokenizer
