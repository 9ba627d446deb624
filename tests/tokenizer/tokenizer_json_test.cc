#include "tokenizer/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "absl/strings/ascii.h"
#include "nlohmann/json.hpp"

#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::tokenizer {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

Json SampleJson(Pattern pattern = Pattern::kQwen2) {
  return Json::parse(WriteTokenizerJson(TrainSample(pattern)));
}

// The message with which a file that `spoil` changed is refused.
std::string RefusalOf(const std::function<void(Json&)>& spoil) {
  Json file = SampleJson();
  spoil(file);
  const auto tokenizer = Tokenizer::Load(file.dump());
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument) << tokenizer.status();
  return std::string(tokenizer.status().message());
}

TEST(TokenizerJsonTest, WhatIsWrittenIsReadBack) {
  for (const Pattern pattern :
       {Pattern::kGpt2, Pattern::kCl100k, Pattern::kQwen2, Pattern::kO200k}) {
    Vocabulary vocabulary = TrainSample(pattern);
    vocabulary.added.push_back({410, "<t\"\n\u00E9>", false, false});
    vocabulary.ignore_merges = pattern == Pattern::kCl100k;
    vocabulary.normalize_nfc = pattern == Pattern::kQwen2;
    vocabulary.post_processor = R"({"type":"ByteLevel"})";
    const std::string written = WriteTokenizerJson(vocabulary);
    const auto read = Tokenizer::Load(written).value();
    EXPECT_EQ(read->ToJson(), written);
    EXPECT_EQ(read->vocab_size(), 411);
    EXPECT_EQ(read->vocabulary().pattern, pattern);
    EXPECT_EQ(read->vocabulary().ignore_merges, vocabulary.ignore_merges);
    EXPECT_EQ(read->Encode(kProbe), Tokenizer::Create(vocabulary).value()->Encode(kProbe));
  }
}

TEST(TokenizerJsonTest, ATokenThatStandsTwiceIsRefused) {
  const std::string written = WriteTokenizerJson(TrainSample(Pattern::kQwen2));
  const size_t vocab = written.find("\"vocab\": {");
  ASSERT_NE(vocab, std::string::npos);
  const size_t first = written.find('"', vocab + 10);
  const std::string token = written.substr(first, written.find(':', first) - first);
  std::string twice = written;
  twice.insert(first, token + ": 4000, ");
  const auto refused = Tokenizer::Load(twice);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("twice"));
}

TEST(TokenizerJsonTest, MergesMayBePairs) {
  Json file = SampleJson();
  for (Json& merge : file["model"]["merges"]) {
    const std::string text = merge;
    const size_t space = text.find(' ');
    merge = Json::array({text.substr(0, space), text.substr(space + 1)});
  }
  EXPECT_EQ(Tokenizer::Load(file.dump()).value()->ToJson(), SampleTokenizer()->ToJson());
}

TEST(TokenizerJsonTest, ReadsTheShapeOfGpt2sFile) {
  Json file = SampleJson(Pattern::kGpt2);
  file["pre_tokenizer"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  file["model"].erase("type");
  file["model"]["vocab"]["<|endoftext|>"] = 400;  // in the vocabulary and among the added tokens
  const auto tokenizer = Tokenizer::Load(file.dump()).value();
  EXPECT_EQ(tokenizer->vocabulary().pattern, Pattern::kGpt2);
  EXPECT_EQ(tokenizer->SpecialId("<|endoftext|>"), 400);
  const Json again = Json::parse(tokenizer->ToJson());
  EXPECT_EQ(again["model"]["vocab"]["<|endoftext|>"], 400);
}

TEST(TokenizerJsonTest, HolesInTheIdsAreKept) {
  Vocabulary vocabulary = TrainSample();
  vocabulary.added = {{1000, "<|endoftext|>", true, false}};
  const auto tokenizer = Tokenizer::Load(WriteTokenizerJson(vocabulary)).value();
  EXPECT_EQ(tokenizer->vocab_size(), 1001);
  EXPECT_FALSE(tokenizer->Decode(std::vector<TokenId>{999}).ok());
  EXPECT_EQ(tokenizer->Decode(std::vector<TokenId>{1000}).value(), "<|endoftext|>");
}

TEST(TokenizerJsonTest, RefusesOtherKindsByName) {
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["type"] = "WordPiece"; }),
              HasSubstr("model.type is \"WordPiece\""));
  EXPECT_THAT(RefusalOf([](Json& f) {
                f["normalizer"] = {{"type", "NFKC"}};
              }),
              HasSubstr("normalizer is {\"type\":\"NFKC\"}"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["decoder"] = nullptr; }), HasSubstr("decoder is null"));
  EXPECT_THAT(RefusalOf([](Json& f) {
                f["pre_tokenizer"] = {{"type", "Whitespace"}};
              }),
              HasSubstr("pre_tokenizer is {\"type\":\"Whitespace\"}"));
  EXPECT_THAT(RefusalOf([](Json& f) {
                f["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\w+";
              }),
              HasSubstr("has the pattern"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["dropout"] = 0.1; }), HasSubstr("model.dropout"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["byte_fallback"] = true; }),
              HasSubstr("model.byte_fallback"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }),
              HasSubstr("model.end_of_word_suffix"));
  for (const std::string flag : {"single_word", "normalized", "lstrip", "rstrip", "special"}) {
    EXPECT_THAT(RefusalOf([&](Json& f) { f["added_tokens"][1][flag] = "yes"; }),
                HasSubstr("added_tokens[1]." + flag + " is \"yes\"; it must be true or false"));
  }
  EXPECT_THAT(RefusalOf([](Json& f) { f.erase("model"); }), HasSubstr("model is missing"));
}

TEST(TokenizerJsonTest, RefusesBrokenVocabularies) {
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["vocab"]["a"] = 5; }),
              HasSubstr("repeats the id"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["vocab"]["zz"] = -1; }), HasSubstr("is -1"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["vocab"]["zz"] = 4'000'000'000'000u; }),
              HasSubstr("is 4000000000000"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["vocab"]["zz"] = 18446744073709551615u; }),
              HasSubstr("an id is a whole number"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["vocab"]["zz"] = "7"; }),
              HasSubstr("an id is a whole number"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["vocab"]["a b"] = 500; }),
              HasSubstr("byte-level alphabet"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["vocab"].erase("q"); }), HasSubstr("0x71"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["vocab"] = Json::array(); }),
              HasSubstr("model.vocab"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["merges"].push_back("q xx"); }),
              HasSubstr("needs the token \"xx\""));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["merges"][3] = "nospace"; }),
              HasSubstr("model.merges[3]"));
  EXPECT_THAT(RefusalOf([](Json& f) {
                f["model"]["merges"][3] = {1, 2};
              }),
              HasSubstr("model.merges[3]"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["added_tokens"][1]["id"] = 400; }),
              HasSubstr("repeats the id 400"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["added_tokens"][1]["id"] = 3; }),
              HasSubstr("which an ordinary token holds"));
  EXPECT_THAT(RefusalOf([](Json& f) { f["model"]["vocab"]["<|im_end|>"] = 7; }),
              HasSubstr("but model.vocab says 7"));
}

// What a merge makes is longer than its parts, so that a list could only go round through an empty
// part, or by ids that do not stand for what they say.
TEST(TokenizerJsonTest, MergesThatGoRoundAreRefused) {
  for (const Json& merge :
       {Json("a "), Json(" a"), Json::array({"a", ""}), Json::array({"", "a"})}) {
    EXPECT_THAT(RefusalOf([&](Json& f) { f["model"]["merges"][3] = merge; }),
                HasSubstr("model.merges[3] is " + merge.dump() + "; a merge is \"a b\""));
  }
  Vocabulary vocabulary = TrainSample();
  const Merge first = vocabulary.merges[0];
  vocabulary.merges[7] = {first.result, first.right, first.left};  // and merge 0 makes the result
  const auto refused = Tokenizer::Create(vocabulary);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr("merge 7 joins"));
}

// The rule, as slow as it reads: again and again the pair with the lowest rank, the leftmost of
// equals; a pair's rank is its last place in the list.
std::vector<std::string> Merged(const std::vector<std::pair<std::string, std::string>>& merges,
                                const std::string& text) {
  std::map<std::pair<std::string, std::string>, size_t> rank_of;
  for (size_t i = 0; i < merges.size(); ++i) rank_of[merges[i]] = i;
  std::vector<std::string> parts;
  for (const char c : text) parts.emplace_back(1, c);
  for (;;) {
    size_t best = merges.size(), at = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = rank_of.find({parts[i], parts[i + 1]});
      if (found == rank_of.end() || found->second >= best) continue;
      best = found->second;
      at = i;
    }
    if (best == merges.size()) return parts;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(TokenizerJsonTest, MergesOutOfOrderOrListedTwiceHaveTheirLastPlace) {
  std::mt19937 random(51);
  Json file = SampleJson();
  Json& list = file["model"]["merges"];
  std::shuffle(list.begin(), list.end(), random);
  for (int i = 0; i < 40; ++i) list.push_back(list[random() % list.size()]);
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::string> syllables;  // what the merges make, so that they happen
  for (const std::string merge : list) {
    const size_t space = merge.find(' ');
    merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    const std::string made = merges.back().first + merges.back().second;
    if (std::ranges::all_of(made, absl::ascii_isalpha)) syllables.push_back(made);
  }
  const auto tokenizer = Tokenizer::Load(file.dump()).value();
  const auto sorted = SampleTokenizer();
  const auto again = Tokenizer::Load(tokenizer->ToJson()).value();
  int others = 0;
  for (int round = 0; round < 300; ++round) {
    std::string word;  // one piece
    for (size_t i = 2 + random() % (round % 10 == 0 ? 60 : 6); i > 0; --i) {
      word += syllables[random() % syllables.size()];
    }
    std::vector<std::string> parts;
    const std::vector<TokenId> ids = tokenizer->Encode(word);
    for (const TokenId id : ids) parts.emplace_back(*tokenizer->TokenBytes(id));
    ASSERT_EQ(parts, Merged(merges, word)) << word;
    ASSERT_EQ(again->Encode(word), ids);
    if (sorted->Encode(word) != ids) ++others;
  }
  EXPECT_GT(others, 50) << "the order matters";
}

TEST(TokenizerJsonTest, RefusesEveryTruncation) {
  const std::string whole = WriteTokenizerJson(TrainSample());
  for (size_t length = 0; length + 2 < whole.size(); length += 131) {
    EXPECT_FALSE(Tokenizer::Load(whole.substr(0, length)).ok()) << length;
  }
  EXPECT_FALSE(Tokenizer::Load("[]").ok());
  EXPECT_FALSE(Tokenizer::Load("\xFF\xFE").ok());
  EXPECT_FALSE(Tokenizer::Load(std::string(100'000, '[')).ok());
}

TEST(TokenizerJsonTest, FlippedBytesNeverCrash) {
  const std::string whole = WriteTokenizerJson(TrainSample());
  std::mt19937 random(21);
  for (int round = 0; round < 300; ++round) {
    std::string spoiled = whole;
    spoiled[random() % spoiled.size()] = static_cast<char>(random());
    const auto tokenizer = Tokenizer::Load(spoiled);
    if (!tokenizer.ok()) continue;
    EXPECT_EQ((*tokenizer)->Decode((*tokenizer)->Encode(kProbe)).value(), kProbe);
  }
}

}  // namespace
}  // namespace floe::tokenizer
