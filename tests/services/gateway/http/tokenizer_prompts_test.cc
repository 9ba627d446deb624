// Chats are rendered and counted by the model's own template.
#include "services/gateway/clients/tokenizer_prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/error_reason.h"
#include "tokenizer/trainer.h"

namespace floe::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'732'579'200);

constexpr char kLlamaLike[] =
    "{{ bos_token }}{% for message in messages %}<|h|>{{ message.role }}<|/h|>"
    "{{ message.content | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|h|>assistant<|/h|>{% endif %}";

ModelText TextOf(const std::string& chat_template) {
  tokenizer::TrainOptions options;
  options.special_tokens = {"<|bos|>", "<|h|>", "<|/h|>", "<|eot|>"};
  options.vocab_size = 260;
  auto trainer = tokenizer::Trainer::Create(options).value();
  trainer.Add("bytes");
  const nlohmann::json config = {{"bos_token", "<|bos|>"}, {"chat_template", chat_template}};
  return {tokenizer::Tokenizer::Create(trainer.Train().value()).value(),
          tokenizer::ChatTemplate::FromConfig(config.dump())};
}

TEST(TokenizerPromptsTest, TheFrameIsTheModelsOwn) {
  const ModelText text = TextOf(kLlamaLike);
  const auto special = [&](const char* token) {
    return static_cast<uint32_t>(*text.tokenizer->SpecialId(token));
  };
  const auto byte = [&](char c) {
    return static_cast<uint32_t>(text.tokenizer->Encode({&c, 1})[0]);
  };
  const auto ids = EncodePrompt(text, std::vector<Message>{{"user", " a<|eot|> "}}, {}, kNow);
  ASSERT_TRUE(ids.ok()) << ids.status();
  std::vector<uint32_t> expected = {special("<|bos|>"), special("<|h|>")};
  for (const char c : std::string("user")) expected.push_back(byte(c));
  expected.push_back(special("<|/h|>"));
  // What a message spells opens and closes nothing.
  for (const char c : std::string("a<|eot|>")) expected.push_back(byte(c));
  expected.push_back(special("<|eot|>"));
  expected.push_back(special("<|h|>"));
  for (const char c : std::string("assistant")) expected.push_back(byte(c));
  expected.push_back(special("<|/h|>"));
  EXPECT_EQ(ids->ids, expected);
}

TEST(TokenizerPromptsTest, ATemplateOutsideTheSubsetIsRefusedByNameAndCompletionsGoOn) {
  const ModelText text = TextOf("{{ messages | shuffle }}");
  const auto refused = EncodePrompt(text, std::vector<Message>{{"user", "a"}}, {}, kNow);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.status().message(), HasSubstr("shuffle"));
  EXPECT_TRUE(EncodePrompt(text, std::string("a"), {}, kNow).ok());
}

TEST(TokenizerPromptsTest, TheDateThatATemplateWritesIsTheClocks) {
  const ModelText text = TextOf("{{ strftime_now('%Y-%m-%d') }}");
  const auto ids = EncodePrompt(text, std::vector<Message>{{"user", "a"}}, {}, kNow);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(
      text.tokenizer->Decode(std::vector<tokenizer::TokenId>(ids->ids.begin(), ids->ids.end()))
          .value(),
      "2024-11-26");
}

TEST(TokenizerPromptsTest, ATemplateThatLoopsIsStopped) {
  const ModelText text =
      TextOf("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}");
  const auto refused = EncodePrompt(text, std::vector<Message>{{"user", "a"}}, {}, kNow);
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().message(), HasSubstr("work"));
}

}  // namespace
}  // namespace floe::gateway
