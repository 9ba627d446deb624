#include <gtest/gtest.h>

#include <random>

#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::tokenizer {
namespace {

// One id a byte: every split of every character happens.
std::vector<TokenId> ByteIds(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<TokenId> ids;
  for (const char byte : text) ids.push_back(tokenizer.Encode({&byte, 1}).at(0));
  return ids;
}

TEST(StreamDecoderTest, NeverEmitsHalfACharacter) {
  const auto tokenizer = SampleTokenizer();
  StreamDecoder decoder(*tokenizer);
  const std::string text = "a\u00E9\u4E2D\U0001F642!";
  std::string streamed;
  for (const TokenId id : ByteIds(*tokenizer, text)) {
    const std::string part = decoder.Push(id).value();
    EXPECT_EQ(ReplaceInvalidUtf8(part), part);
    EXPECT_EQ(part.find("\uFFFD"), std::string::npos);
    streamed += part;
  }
  EXPECT_EQ(streamed, text);
  EXPECT_EQ(decoder.Flush(), "");
}

TEST(StreamDecoderTest, EveryStopInsideACharacterEndsInOneReplacement) {
  const auto tokenizer = SampleTokenizer();
  const std::string_view text = "x\U0001F642";
  for (size_t cut = 2; cut < text.size(); ++cut) {
    StreamDecoder decoder(*tokenizer);
    std::string streamed;
    for (const TokenId id : ByteIds(*tokenizer, text.substr(0, cut))) {
      streamed += decoder.Push(id).value();
    }
    EXPECT_EQ(streamed, "x");
    EXPECT_EQ(decoder.Flush(), "\uFFFD");
    EXPECT_EQ(decoder.Flush(), "");
  }
}

TEST(StreamDecoderTest, EqualsTheRepairedWholeOnAnyBytes) {
  const auto tokenizer = SampleTokenizer();
  std::mt19937 random(17);
  const std::string tricky = "\xE2\x82\xAC\xF0\x9F\x99\x82\xED\xA0\xC3\xFF\x80 a";
  for (int round = 0; round < 500; ++round) {
    std::string bytes;
    for (size_t i = random() % 24; i > 0; --i) bytes.push_back(tricky[random() % tricky.size()]);
    StreamDecoder decoder(*tokenizer);
    std::string streamed;
    const bool whole = round % 2 == 0;
    for (const TokenId id : whole ? tokenizer->Encode(bytes) : ByteIds(*tokenizer, bytes)) {
      streamed += decoder.Push(id).value();
    }
    streamed += decoder.Flush();
    EXPECT_EQ(streamed, ReplaceInvalidUtf8(bytes));
  }
}

TEST(StreamDecoderTest, AnUnknownIdLeavesTheStreamUsable) {
  const auto tokenizer = SampleTokenizer();
  StreamDecoder decoder(*tokenizer);
  const std::vector<TokenId> ids = ByteIds(*tokenizer, "\u00E9");
  EXPECT_EQ(decoder.Push(ids[0]).value(), "");
  EXPECT_EQ(decoder.Push(99999).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(decoder.Push(ids[1]).value(), "\u00E9");
}

TEST(StreamDecoderTest, SpecialTokensAreLeftOutOnRequest) {
  const auto tokenizer = SampleTokenizer();
  const TokenId end = tokenizer->SpecialId("<|im_end|>").value();
  EXPECT_EQ(StreamDecoder(*tokenizer).Push(end).value(), "<|im_end|>");
  EXPECT_EQ(StreamDecoder(*tokenizer, {.skip_special = true}).Push(end).value(), "");
}

}  // namespace
}  // namespace floe::tokenizer
