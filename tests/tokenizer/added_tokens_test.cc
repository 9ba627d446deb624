// Added tokens as Hugging Face finds them (make_added_tokens.py), and where they may not be found.
#include "tokenizer/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

#include "base/files.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "tokenizer/text_cutter.h"
#include "tokenizer/unicode/nfc.h"

namespace floe::tokenizer {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using Json = nlohmann::json;

constexpr TokenId kAdded = 256;  // from here on in the golden files; below are the bytes

const Json& Golden() {
  static const auto* golden =
      new Json(Json::parse(ReadFile(FLOE_GOLDEN_ADDED_TOKENS, 16 << 20).value()));
  return *golden;
}

TEST(AddedTokensTest, TheIdsAreThoseOfHuggingFace) {
  for (const Json& file : Golden()["files"]) {
    const auto tokenizer = Tokenizer::Load(file["file"].dump()).value();
    const auto exported = Tokenizer::Load(tokenizer->ToJson()).value();
    int found = 0;
    for (const Json& one : file["cases"]) {
      const std::string text = one["text"];
      const std::vector<TokenId> ids = tokenizer->EncodeWithSpecials(text);
      ASSERT_EQ(ids, one["ids"].get<std::vector<TokenId>>()) << file["name"] << one["text"];
      EXPECT_EQ(exported->EncodeWithSpecials(text), ids);
      found +=
          static_cast<int>(std::ranges::count_if(ids, [](TokenId id) { return id >= kAdded; }));
    }
    EXPECT_GT(found, 200) << file["name"];
  }
}

TEST(AddedTokensTest, TheyEndWhereHuggingFaceSays) {
  int compared = 0;
  for (const Json& file : Golden()["files"]) {
    const auto tokenizer = Tokenizer::Load(file["file"].dump()).value();
    for (const Json& one : file["cases"]) {
      if (!one.contains("ends")) continue;
      const std::string text = one["text"];
      std::vector<uint64_t> ends, of_added;
      const std::vector<TokenId> ids = tokenizer->EncodeWithSpecials(text, ends);
      EXPECT_EQ(ids, tokenizer->EncodeWithSpecials(text));
      ASSERT_EQ(ends.size(), ids.size());
      EXPECT_EQ(ends.back(), text.size()) << one["text"];
      for (size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] >= kAdded) of_added.push_back(ends[i]);
      }
      EXPECT_EQ(of_added, one["ends"].get<std::vector<uint64_t>>()) << file["name"] << one["text"];
      ++compared;
    }
  }
  EXPECT_GT(compared, 400);
}

// The flags are those of the file, and no more than those.
TEST(AddedTokensTest, FlagsAreWrittenAsTheyWereRead) {
  for (const Json& file : Golden()["files"]) {
    const auto tokenizer = Tokenizer::Load(file["file"].dump()).value();
    EXPECT_EQ(Json::parse(tokenizer->ToJson())["added_tokens"], file["file"]["added_tokens"]);
  }
}

// Streams, batches and counts are of ordinary text: no cut can part a token from its neighbours.
TEST(AddedTokensTest, OrdinaryTextHoldsNoneHoweverItIsCut) {
  for (const Json& file : Golden()["files"]) {
    const auto tokenizer = Tokenizer::Load(file["file"].dump()).value();
    std::mt19937 random(3);
    for (const Json& one : file["cases"]) {
      const std::string text = one["text"];
      const std::vector<TokenId> ids = tokenizer->Encode(text);
      EXPECT_THAT(ids, Not(Contains(testing::Ge(kAdded))));
      EXPECT_EQ(tokenizer->EncodeWithSpecials(text, [](size_t, size_t) { return false; }), ids);
      TextCutter cutter;
      std::vector<TokenId> cut;
      for (size_t at = 0; at < text.size();) {
        const std::string_view piece = std::string_view(text).substr(at, 1 + random() % 3);
        tokenizer->EncodeTo(cutter.Push(piece), cut);
        at += piece.size();
      }
      tokenizer->EncodeTo(cutter.Flush(), cut);
      EXPECT_EQ(cut, ids) << one["text"];
    }
  }
}

Vocabulary Bytes(std::vector<AddedToken> added, bool nfc = false) {
  Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  vocabulary.added = std::move(added);
  vocabulary.normalize_nfc = nfc;
  return vocabulary;
}

// A bracket and a comma are no characters of a word, an underscore and a joiner are; what is no
// UTF-8 is none.
TEST(AddedTokensTest, ASingleWordStandsBesideNoCharacterOfAWord) {
  const auto tokenizer =
      Tokenizer::Create(Bytes({{.id = 256, .content = "cat", .single_word = true}})).value();
  const auto is_found = [&](std::string_view text) {
    return std::ranges::count(tokenizer->EncodeWithSpecials(text), 256) == 1;
  };
  for (const char* text : {"cat", "(cat)", ",cat,", " cat\n", "\u00b2cat\u00b2",
                           "\xff"
                           "cat\x80",
                           "\xe5\xad"
                           "cat\xe5"}) {
    EXPECT_TRUE(is_found(text)) << text;
  }
  for (const char* text : {"cats", "a cat5", "_cat", "cat_",
                           "\u5b57"
                           "cat",
                           "cat\u0301", "cat\u200d",
                           "\u0663"
                           "cat",
                           "\u24d0"
                           "cat",
                           "\U0001F170"
                           "cat",
                           "concatenate"}) {
    EXPECT_FALSE(is_found(text)) << text;
  }
}

// A search that is quadratic would take an hour.
TEST(AddedTokensTest, AMegabyteOfTokensThatTakeWhiteSpaceAlongIsNoProblem) {
  for (const bool left : {false, true}) {
    const AddedToken tab = {.id = 256, .content = "\t", .lstrip = left, .rstrip = !left};
    const auto tokenizer = Tokenizer::Create(Bytes({tab})).value();
    const std::string text(1 << 20, '\t');
    EXPECT_EQ(tokenizer->EncodeWithSpecials(text), std::vector<TokenId>(text.size(), 256));
  }
}

// The text of each place that was asked about.
std::vector<std::string> AskedAbout(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::string> asked;
  tokenizer.EncodeWithSpecials(text, [&](size_t begin, size_t length) {
    asked.push_back(text.substr(begin, length));
    return true;
  });
  return asked;
}

TEST(AddedTokensTest, TrustIsAskedOfTheTextThatAMatchComesFrom) {
  const auto tokenizer =
      Tokenizer::Create(Bytes({{.id = 256, .content = "\u00e9", .normalized = true},
                               {.id = 257, .content = "<s>"},
                               {.id = 258, .content = "\u5b57", .normalized = true},
                               {.id = 259, .content = "q\u0323", .normalized = true}},
                              true))
          .value();
  EXPECT_THAT(AskedAbout(*tokenizer, "ae\u0301b"), ElementsAre("e\u0301"));
  EXPECT_THAT(AskedAbout(*tokenizer, "a\u00e9b"), ElementsAre("\u00e9"));
  // Neighbours of another script do not belong to it, marks do.
  EXPECT_THAT(AskedAbout(*tokenizer, "\u5929e\u0301\u5730\u5b57\u4eba"),
              ElementsAre("e\u0301", "\u5b57"));
  EXPECT_THAT(AskedAbout(*tokenizer, "aq\u0307\u0323b"), ElementsAre("q\u0307\u0323"));
  // Behind a token that was found first, places are still those of the whole text.
  EXPECT_THAT(AskedAbout(*tokenizer, "ae\u0301<s>e\u0301"),
              ElementsAre("<s>", "e\u0301", "e\u0301"));
}

TEST(AddedTokensTest, APlaceThatIsNotTrustedHoldsNone) {
  const auto tokenizer =
      Tokenizer::Create(Bytes({{.id = 256, .content = "e\u0301", .normalized = true}}, true))
          .value();
  // The mark is somebody else's: the letter alone is the template's.
  const std::string text = "e\u0301 e\u0301";
  const auto ids = tokenizer->EncodeWithSpecials(
      text, [](size_t begin, size_t length) { return begin >= 1 && begin + length <= 7; });
  EXPECT_THAT(ids, ElementsAre(0xC3, 0xA9, ' ', 256));
}

// Cuts say where parts may be brought into NFC by themselves.
TEST(AddedTokensTest, NfcOfTheCutsIsThatOfTheWhole) {
  std::mt19937 random(17);
  for (int round = 0; round < 500; ++round) {
    std::string text = RandomText(random, random() % 20);
    for (int i = 0; i < 10; ++i) {
      static constexpr char32_t kOften[] = {0x301,  0x323,  0x1112, 0x1161, 0x11AB, 0xD558,
                                            0x9BE,  0x9C7,  0xB47,  0xB3E,  'e',    0x5B57,
                                            0x3099, 0x304B, 0x1100, 0x11A7, 0x928,  0x93C};
      AppendUtf8(kOften[random() % std::size(kOften)], text);
    }
    if (round % 3 == 0) text.insert(random() % text.size(), 1, '\xff');
    std::vector<NfcCut> cuts;
    const std::string whole = ToNfc(text, cuts);
    ASSERT_EQ(whole, ToNfc(text));
    ASSERT_EQ(cuts.back().original, text.size());
    ASSERT_EQ(cuts.back().normalized, whole.size());
    NfcCut last = {0, 0};
    for (const NfcCut& cut : cuts) {
      ASSERT_EQ(ToNfc(text.substr(last.original, cut.original - last.original)),
                whole.substr(last.normalized, cut.normalized - last.normalized));
      last = cut;
    }
  }
}

}  // namespace
}  // namespace floe::tokenizer
