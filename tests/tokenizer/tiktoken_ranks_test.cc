#include "tokenizer/tiktoken_ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "tokenizer/tokenizer.h"

namespace floe::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// All bytes and then `tokens`, as a rank file.
std::string RankFile(const std::vector<std::string>& tokens) {
  std::string file;
  int rank = 0;
  for (int byte = 0; byte < 256; ++byte) {
    absl::StrAppend(&file, absl::Base64Escape(std::string(1, static_cast<char>(byte))), " ", rank++,
                    "\n");
  }
  for (const std::string& token : tokens) {
    absl::StrAppend(&file, absl::Base64Escape(token), " ", rank++, "\n");
  }
  return file;
}

std::vector<TokenId> Encode(const std::vector<std::string>& tokens, const std::string& text) {
  const auto vocabulary = ParseTiktokenRanks(RankFile(tokens), {});
  EXPECT_TRUE(vocabulary.ok()) << vocabulary.status();
  return Tokenizer::Create(*vocabulary).value()->Encode(text);
}

// tiktoken's own rule, as slow as it reads: the lowest rank of two neighbours, the leftmost of
// them.
std::vector<TokenId> Reference(const std::vector<std::string>& tokens, const std::string& piece) {
  std::map<std::string, TokenId> ranks;
  for (int byte = 0; byte < 256; ++byte) ranks[std::string(1, static_cast<char>(byte))] = byte;
  for (size_t i = 0; i < tokens.size(); ++i) ranks[tokens[i]] = static_cast<TokenId>(256 + i);
  if (ranks.contains(piece)) return {ranks[piece]};
  std::vector<std::string> parts;
  for (const char byte : piece) parts.emplace_back(1, byte);
  while (true) {
    size_t best = parts.size();
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto joined = ranks.find(parts[i] + parts[i + 1]);
      if (joined == ranks.end()) continue;
      if (best == parts.size() || joined->second < ranks[parts[best] + parts[best + 1]]) best = i;
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  std::vector<TokenId> ids;
  for (const std::string& part : parts) ids.push_back(ranks[part]);
  return ids;
}

TEST(TiktokenRanksTest, JoinsByTheRankOfWhatComesOut) {
  EXPECT_THAT(Encode({"ab", "abc", "bc"}, "abcx"), ElementsAre(257, 'x'));
  EXPECT_THAT(Encode({"bc", "ab", "abc"}, "xabc"), ElementsAre('x', 258));  // by a and bc
}

TEST(TiktokenRanksTest, APieceThatIsATokenIsThatToken) {
  // No two tokens make "abc" out of bytes, yet it is one.
  EXPECT_THAT(Encode({"abc"}, "abc"), ElementsAre(256));
  EXPECT_THAT(Encode({"abc"}, "abcd"), ElementsAre('a', 'b', 'c', 'd'));
}

TEST(TiktokenRanksTest, WaysToMakeOneTokenAreEquals) {
  const std::vector<std::string> tokens = {"ab", "ba", "aba"};
  EXPECT_EQ(Encode(tokens, "xababa"), Reference(tokens, "xababa"));
}

TEST(TiktokenRanksTest, EqualsTheSlowRuleOnRandomVocabularies) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> tokens;
    std::vector<std::string> known = {"a", "b", "c"};
    for (int i = 0; i < 30; ++i) {
      const std::string token = known[random() % known.size()] + known[random() % known.size()];
      if (token.size() > 12 || std::count(known.begin(), known.end(), token) > 0) continue;
      tokens.push_back(token);
      known.push_back(token);
    }
    for (int i = 0; i < 20; ++i) {
      std::string piece;
      const size_t length = 1 + random() % (i == 0 ? 400 : 30);
      for (size_t k = 0; k < length; ++k) piece.push_back("abc"[random() % 3]);
      ASSERT_EQ(Encode(tokens, piece), Reference(tokens, piece)) << piece;
    }
  }
}

TEST(TiktokenRanksTest, LinesMayStandInAnyOrder) {
  const std::vector<std::string> tokens = {"he", "ll", "hell", "hello"};
  std::vector<std::string> lines = absl::StrSplit(RankFile(tokens), '\n', absl::SkipEmpty());
  const std::string in_order =
      Tokenizer::Create(ParseTiktokenRanks(RankFile(tokens), {}).value()).value()->ToJson();
  std::mt19937 random(8);
  std::shuffle(lines.begin(), lines.end(), random);
  const auto shuffled = ParseTiktokenRanks(absl::StrJoin(lines, "\n"), {});
  ASSERT_TRUE(shuffled.ok()) << shuffled.status();
  EXPECT_EQ(Tokenizer::Create(*shuffled).value()->ToJson(), in_order);
}

// A rank file names no merges, so that none can go round or stand twice; but a token may rank
// before what it is made of.
TEST(TiktokenRanksTest, TokensMayRankBeforeTheirParts) {
  EXPECT_THAT(Encode({"abc", "ab"}, "xabc"), ElementsAre('x', 256));
  std::mt19937 random(9);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> known = {"a", "b", "c"};
    for (int i = 0; i < 30; ++i) {
      const std::string token = known[random() % known.size()] + known[random() % known.size()];
      if (token.size() > 12 || std::count(known.begin(), known.end(), token) > 0) continue;
      known.push_back(token);
    }
    std::vector<std::string> tokens(known.begin() + 3, known.end());
    std::shuffle(tokens.begin(), tokens.end(), random);
    for (int i = 0; i < 20; ++i) {
      std::string piece;
      const size_t length = 1 + random() % (i == 0 ? 400 : 30);
      for (size_t k = 0; k < length; ++k) piece.push_back("abc"[random() % 3]);
      ASSERT_EQ(Encode(tokens, piece), Reference(tokens, piece)) << piece;
    }
  }
}

TEST(TiktokenRanksTest, WhatIsWrittenAsJsonIsReadBackAlike) {
  RankFileOptions options = PublishedEncoding("cl100k_base").value();
  options.special = {{300, "<|endoftext|>"}};  // ids need not follow the ranks
  const auto made =
      Tokenizer::Create(ParseTiktokenRanks(RankFile({"he", "ll", "hell"}), options).value())
          .value();
  const auto read = Tokenizer::Load(made->ToJson());
  ASSERT_TRUE(read.ok()) << read.status();
  const std::string text = "hello hell<|endoftext|>he";
  EXPECT_EQ((*read)->EncodeWithSpecials(text), made->EncodeWithSpecials(text));
  EXPECT_EQ((*read)->SpecialId("<|endoftext|>"), 300);
}

TEST(TiktokenRanksTest, KnowsTheSpecialTokensOfPublishedEncodings) {
  EXPECT_EQ(PublishedEncoding("p50k_base")->special[0].id, 50256);
  EXPECT_EQ(PublishedEncoding("p50k_base")->pattern, Pattern::kGpt2);
  const auto llama3 = PublishedEncoding("llama3");
  ASSERT_TRUE(llama3.ok()) << llama3.status();
  EXPECT_EQ(llama3->pattern, Pattern::kCl100k);
  ASSERT_EQ(llama3->special.size(), 256u);
  const auto at = [&](int place) { return llama3->special[static_cast<size_t>(place)].content; };
  EXPECT_EQ(llama3->special[0].id, 128000);
  EXPECT_EQ(llama3->special[255].id, 128255);
  EXPECT_EQ(at(0), "<|begin_of_text|>");
  EXPECT_EQ(at(2), "<|reserved_special_token_0|>");
  EXPECT_EQ(at(5), "<|reserved_special_token_3|>");
  EXPECT_EQ(at(6), "<|start_header_id|>");
  EXPECT_EQ(at(8), "<|reserved_special_token_4|>");
  EXPECT_EQ(at(9), "<|eot_id|>");
  EXPECT_EQ(at(255), "<|reserved_special_token_250|>");
}

TEST(TiktokenRanksTest, RanksMayGoOnBehindASpecialToken) {
  RankFileOptions options{Pattern::kGpt2, {{258, "<|endoftext|>"}}};
  std::string file = RankFile({"he", "ll"});
  file += absl::StrCat(absl::Base64Escape("  "), " 259\n");
  const auto made = Tokenizer::Create(ParseTiktokenRanks(file, options).value()).value();
  EXPECT_EQ(made->SpecialId("<|endoftext|>"), 258);
  EXPECT_EQ(made->vocab_size(), 260);
  EXPECT_EQ(made->Encode("  "), std::vector<TokenId>{259});
}

TEST(TiktokenRanksTest, MistakesAreNamedByTheirLine) {
  const auto refusal = [](const std::string& file) {
    const auto parsed = ParseTiktokenRanks(file, {});
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(parsed.status().message());
  };
  const std::string whole = RankFile({"ab"});
  EXPECT_THAT(refusal(whole + "YWJj"), HasSubstr("line 258: must be a token in base64"));
  EXPECT_THAT(refusal(whole + "YWJj -3\n"), HasSubstr("line 258: the rank -3"));
  EXPECT_THAT(refusal(whole + "YWJj 99999999999\n"), HasSubstr("line 258"));
  EXPECT_THAT(refusal(whole + "YWJj 4194304\n"), HasSubstr("0 to 4194303"));
  EXPECT_THAT(refusal(whole + "*** 300\n"), HasSubstr("base64 of 1 to 1024 bytes"));
  EXPECT_THAT(refusal(whole + "YWI= 300\n"), HasSubstr("line 258: repeats the token of line 257"));
  EXPECT_THAT(refusal(whole + "YWJj 256\n"), HasSubstr("256 stands on another line"));
  EXPECT_THAT(refusal(whole + "YWJj 4194303\n"), HasSubstr("there are 258 tokens"));
  EXPECT_THAT(refusal("YWI= 0\n"), HasSubstr("byte"));  // text with other bytes would be lost
  EXPECT_FALSE(ParseTiktokenRanks("", {}).ok());
  EXPECT_THAT(PublishedEncoding("p99k").status().message(), HasSubstr("known are"));
}

}  // namespace
}  // namespace floe::tokenizer
