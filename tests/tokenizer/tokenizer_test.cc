#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "tests/tokenizer/sample_tokenizer.h"
#include "tokenizer/byte_alphabet.h"

namespace floe::tokenizer {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::Not;

TEST(TokenizerTest, EncodesAsHuggingFaceDoes) {
  EXPECT_THAT(SampleTokenizer(Pattern::kGpt2)->Encode(kProbe), ElementsAreArray(kGpt2Ids));
  EXPECT_THAT(SampleTokenizer(Pattern::kCl100k)->Encode(kProbe), ElementsAreArray(kCl100kIds));
  EXPECT_THAT(SampleTokenizer(Pattern::kQwen2)->Encode(kProbe), ElementsAreArray(kQwen2Ids));
}

TEST(TokenizerTest, AnyBytesComeBackUnchanged) {
  std::mt19937 random(3);
  for (const Pattern pattern :
       {Pattern::kGpt2, Pattern::kCl100k, Pattern::kQwen2, Pattern::kO200k}) {
    const auto tokenizer = SampleTokenizer(pattern);
    for (int round = 0; round < 300; ++round) {
      const std::string text =
          round % 2 ? RandomBytes(random, random() % 300) : RandomText(random, random() % 200);
      const std::vector<TokenId> ids = tokenizer->Encode(text);
      EXPECT_EQ(tokenizer->Decode(ids).value(), text);
      EXPECT_EQ(tokenizer->Count(text), ids.size());
      EXPECT_EQ(tokenizer->Encode(text), ids);  // the second time from the cache
    }
  }
}

TEST(TokenizerTest, EmptyTextHasNoTokens) {
  const auto tokenizer = SampleTokenizer();
  EXPECT_TRUE(tokenizer->Encode("").empty());
  EXPECT_TRUE(tokenizer->EncodeWithSpecials("").empty());
  EXPECT_EQ(tokenizer->Decode({}).value(), "");
}

TEST(TokenizerTest, OrdinaryTextNeverBecomesASpecialToken) {
  const auto tokenizer = SampleTokenizer();
  for (const AddedToken& token : tokenizer->vocabulary().added) {
    const std::string text = "a" + token.content + token.content + "b";
    const std::vector<TokenId> ids = tokenizer->Encode(text);
    EXPECT_THAT(ids, Not(Contains(token.id)));
    EXPECT_EQ(tokenizer->Decode(ids).value(), text);
  }
}

TEST(TokenizerTest, TrustedTextMayNameSpecialTokens) {
  const auto tokenizer = SampleTokenizer();
  const TokenId end = tokenizer->SpecialId("<|im_end|>").value();
  const TokenId a = RankOfByte('a'), b = RankOfByte('b');
  EXPECT_THAT(tokenizer->EncodeWithSpecials("a<|im_end|><|im_end|>b"), ElementsAre(a, end, end, b));
  EXPECT_EQ(tokenizer->EncodeWithSpecials("<|im_end"), tokenizer->Encode("<|im_end"));
  EXPECT_EQ(tokenizer->SpecialId("<|nope|>"), std::nullopt);
}

TEST(TokenizerTest, TheLongestSpecialTokenWins) {
  Vocabulary vocabulary = TrainSample();
  vocabulary.added = {{400, "<a", true, false}, {401, "<a>", true, false}};
  const auto tokenizer = Tokenizer::Create(vocabulary).value();
  EXPECT_THAT(tokenizer->EncodeWithSpecials("<a><a"), ElementsAre(401, 400));
}

// The ids that Hugging Face tokenizers 0.23 gives these texts.
TEST(TokenizerTest, SpecialTokensMayTakeTheWhiteSpaceBesideThem) {
  Vocabulary vocabulary;
  vocabulary.pattern = Pattern::kGpt2;
  for (int rank = 0; rank < 256; ++rank) {
    vocabulary.tokens.emplace_back(1, static_cast<char>(ByteOfRank(rank)));
  }
  constexpr TokenId kLeft = 256, kRight = 257, kBoth = 258;
  vocabulary.added = {{.id = kLeft, .content = "<l>", .lstrip = true},
                      {.id = kRight, .content = "<r>", .rstrip = true},
                      {.id = kBoth, .content = "<b>", .lstrip = true, .rstrip = true}};
  const auto tokenizer = Tokenizer::Create(vocabulary).value();
  const TokenId a = RankOfByte('a'), b = RankOfByte('b'), space = RankOfByte(' ');
  const auto ids = [&](std::string_view text) { return tokenizer->EncodeWithSpecials(text); };
  EXPECT_THAT(ids("a \n<l> b"), ElementsAre(a, kLeft, space, b));
  EXPECT_THAT(ids("a <r> \u3000b"), ElementsAre(a, space, kRight, b));
  EXPECT_THAT(ids("a  <b>  b"), ElementsAre(a, kBoth, b));
  EXPECT_THAT(ids(" <l> <l> "), ElementsAre(kLeft, kLeft, space));
  EXPECT_THAT(ids("<r> <l>"), ElementsAre(kRight, kLeft));
  EXPECT_THAT(ids("\u00a0<b>a <b>"), ElementsAre(kBoth, a, kBoth));
  EXPECT_EQ(Tokenizer::Load(tokenizer->ToJson()).value()->EncodeWithSpecials("a  <b>  b"),
            ids("a  <b>  b"));
}

TEST(TokenizerTest, SpecialTokensAreDecodedOrLeftOut) {
  const auto tokenizer = SampleTokenizer();
  const std::vector<TokenId> ids = tokenizer->EncodeWithSpecials("x<|im_end|>y");
  EXPECT_EQ(tokenizer->Decode(ids).value(), "x<|im_end|>y");
  EXPECT_EQ(tokenizer->Decode(ids, {.skip_special = true}).value(), "xy");
  EXPECT_TRUE(tokenizer->IsSpecial(ids[1]));
  EXPECT_FALSE(tokenizer->IsSpecial(ids[0]));
}

TEST(TokenizerTest, DecodeNamesTheIdThatIsNotThere) {
  const auto tokenizer = SampleTokenizer();
  for (const TokenId bad : {-1, 403, 2'000'000'000}) {
    const auto text = tokenizer->Decode(std::vector<TokenId>{1, bad});
    EXPECT_EQ(text.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(text.status().message()), HasSubstr("at position 1"));
  }
}

// A quadratic merge would take hours here.
TEST(TokenizerTest, AMegabyteOfOneLetterIsNoProblem) {
  const auto tokenizer = SampleTokenizer();
  for (const char c : {'e', 'z', ' ', '.'}) {
    const std::string text(1 << 20, c);
    EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text)).value(), text);
  }
}

// Pieces on both sides of the border between the two ways of merging.
TEST(TokenizerTest, LongAndShortPiecesMergeByTheSameRule) {
  const auto tokenizer = SampleTokenizer();
  const MergeTable merges(tokenizer->vocabulary().merges);
  std::mt19937 random(9);
  const std::string letters = "ther ivpcs";
  for (int round = 0; round < 200; ++round) {
    std::vector<TokenId> symbols;
    const size_t length = 2 + random() % 90;
    for (size_t i = 0; i < length; ++i) {
      symbols.push_back(RankOfByte(letters[random() % letters.size()]));
    }
    std::vector<TokenId> expected = symbols;
    while (true) {  // the definition
      size_t best = expected.size();
      uint32_t best_rank = MergeTable::kNoMerge;
      for (size_t i = 0; i + 1 < expected.size(); ++i) {
        const uint32_t rank = merges.Find(expected[i], expected[i + 1]).rank;
        if (rank < best_rank) best = i, best_rank = rank;
      }
      if (best_rank == MergeTable::kNoMerge) break;
      expected[best] = merges.Find(expected[best], expected[best + 1]).result;
      expected.erase(expected.begin() + best + 1);
    }
    merges.Apply(symbols);
    EXPECT_EQ(symbols, expected);
  }
}

TEST(TokenizerTest, BatchesGiveWhatSingleCallsGive) {
  const auto tokenizer = SampleTokenizer();
  std::mt19937 random(4);
  std::vector<std::string> texts;
  for (int i = 0; i < 64; ++i) texts.push_back(RandomText(random, random() % 100));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const auto batch = tokenizer->EncodeBatch(views, 4);
  ASSERT_EQ(batch.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(batch[i], tokenizer->Encode(texts[i]));
  EXPECT_TRUE(tokenizer->EncodeBatch({}, 4).empty());
}

TEST(TokenizerTest, ManyThreadsMayEncodeAtOnce) {
  const auto tokenizer = SampleTokenizer();
  const std::vector<TokenId> expected = tokenizer->Encode(kCorpus);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) EXPECT_EQ(tokenizer->Encode(kCorpus), expected);
    });
  }
}

TEST(TokenizerTest, RefusesAVocabularyThatWouldLoseText) {
  Vocabulary vocabulary = TrainSample();
  vocabulary.merges.clear();
  vocabulary.tokens[RankOfByte('q')] = "qq";
  const auto tokenizer = Tokenizer::Create(vocabulary);
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("no token for byte 0x71"));
}

TEST(TokenizerTest, IgnoreMergesTakesAWholePieceThatIsAToken) {
  Vocabulary vocabulary = TrainSample();
  vocabulary.added.clear();
  vocabulary.tokens.push_back("zzz");
  EXPECT_EQ(Tokenizer::Create(vocabulary).value()->Encode("zzz").size(), 3u);
  vocabulary.ignore_merges = true;
  EXPECT_THAT(Tokenizer::Create(vocabulary).value()->Encode("zzz"), ElementsAre(400));
}

}  // namespace
}  // namespace floe::tokenizer
