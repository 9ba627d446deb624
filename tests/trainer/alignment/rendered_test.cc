#include "trainer/alignment/rendered.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::trainer {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class RenderedTest : public testing::Test {
 protected:
  // The text of the ids that are an answer's.
  std::string AnswerOf(const Rendered& text) {
    std::vector<tokenizer::TokenId> ids;
    for (size_t i = 0; i < text.ids.size(); ++i) {
      if (text.answer[i]) ids.push_back(text.ids[i]);
    }
    return tokenizer_->Decode(ids).value();
  }

  const std::unique_ptr<const tokenizer::Tokenizer> tokenizer_ = tokenizer::SampleTokenizer();
};

TEST_F(RenderedTest, OnlyAnswersAreMarked) {
  const ChatExample chat{{{"system", "Be brief."},
                          {"user", "One?"},
                          {"assistant", "Yes."},
                          {"user", "Two?"},
                          {"assistant", "No."}},
                         9};
  const auto data = RenderChats(*tokenizer_, std::vector{chat}, {.max_tokens = 200});
  ASSERT_TRUE(data.ok()) << data.status();
  const Rendered& text = data->examples[0];
  EXPECT_EQ(text.line, 9);
  EXPECT_EQ(text.ids.size(), text.answer.size());
  EXPECT_EQ(AnswerOf(text), "Yes.<|im_end|>No.<|im_end|>");
  EXPECT_EQ(
      text.ids,
      tokenizer::RenderChat(*tokenizer_, chat.messages, {.add_generation_prompt = false}).value());
}

TEST_F(RenderedTest, AModelsOwnTemplateSaysWhatTheAssistantWrites) {
  const std::vector<ChatExample> chats = {{{{"user", "One?"}, {"assistant", "Yes."}}, 3}};
  const auto with = [](const std::string& answer) {
    const std::string source = "{% for m in messages %}{% if m.role == 'assistant' %}" + answer +
                               "{% else %}Q: {{ m.content }} {% endif %}{% endfor %}";
    return tokenizer::ChatTemplate::FromConfig(R"({"chat_template": ")" + source + "\"}").value();
  };
  const auto data = RenderChats(
      *tokenizer_, chats,
      {.max_tokens = 200,
       .chat = with("A: {% generation %}{{ m.content }}<|im_end|>{% endgeneration %}")});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(AnswerOf(data->examples[0]), "Yes.<|im_end|>");
  EXPECT_EQ(tokenizer_->Decode(data->examples[0].ids).value(), "Q: One? A: Yes.<|im_end|>");
  const auto refused =
      RenderChats(*tokenizer_, chats, {.max_tokens = 200, .chat = with("A: {{ m.content }}")});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.status().message(), HasSubstr("{% generation %}"));
}

TEST_F(RenderedTest, OfAPairOnlyTheLastAnswerIsMarked) {
  const PreferencePair pair{
      {{"user", "a"}, {"assistant", "b"}, {"user", "c"}}, "right", "wrong", 3};
  const auto data = RenderPairs(*tokenizer_, std::vector{pair}, {.max_tokens = 200});
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(AnswerOf(data->examples[0].chosen), "right<|im_end|>");
  EXPECT_EQ(AnswerOf(data->examples[0].rejected), "wrong<|im_end|>");
}

TEST_F(RenderedTest, AnAnswerFollowsTheGenerationPrompt) {
  // Whatever an answer begins with, its ids come behind those that a server would prompt with.
  const std::vector<ChatMessage> prompt = {{"user", "Q"}};
  const auto opening = tokenizer::RenderChat(*tokenizer_, prompt).value();
  for (const std::string answer : {"plain", "\nnew line", "  spaces", "assistant\n"}) {
    const auto text = RenderAnswer(*tokenizer_, {}, prompt, answer);
    ASSERT_TRUE(text.ok());
    ASSERT_GE(text->ids.size(), opening.size());
    EXPECT_TRUE(std::equal(opening.begin(), opening.end(), text->ids.begin())) << answer;
    EXPECT_FALSE(text->answer[opening.size() - 1]);
    EXPECT_TRUE(text->answer[opening.size()]);
  }
}

TEST_F(RenderedTest, ALongTextIsRefusedOrSkipped) {
  const std::vector<ChatExample> chats = {
      {{{"user", "a"}, {"assistant", "b"}}, 1},
      {{{"user", std::string(400, 'x')}, {"assistant", "b"}}, 2}};
  const auto refused = RenderChats(*tokenizer_, chats, {.max_tokens = 60});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("line 2"), HasSubstr("sequence_length 60")));
  const auto skipped =
      RenderChats(*tokenizer_, chats, {.max_tokens = 60, .too_long = TooLong::kSkip});
  ASSERT_TRUE(skipped.ok()) << skipped.status();
  EXPECT_EQ(skipped->skipped, 1);
  EXPECT_EQ(skipped->examples.size(), 1u);
  const auto none = RenderChats(*tokenizer_, chats, {.max_tokens = 2, .too_long = TooLong::kSkip});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(RenderedTest, PadsToTheLongestAndMarksTargets) {
  const Rendered a{{10, 11, 12}, {false, false, true}, 1};
  const Rendered b{{20, 21, 22, 23}, {false, true, true, false}, 2};
  const std::vector<const Rendered*> both = {&a, &b};
  const auto batch = PadBatch(both);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->length, 3);
  EXPECT_EQ(batch->sequences, 2);
  EXPECT_EQ(batch->answer_tokens, 3);
  EXPECT_THAT(batch->ids, ElementsAre(10, 11, 0, 20, 21, 22));
  EXPECT_THAT(batch->targets, ElementsAre(-1, 12, -1, 21, 22, -1));
}

TEST_F(RenderedTest, ABatchWhoseMaskIsAllZeroOrAllOneIsRefused) {
  const Rendered zero{{1, 2, 3}, {false, false, false}, 5};
  const Rendered one{{1, 2, 3}, {true, true, true}, 6};
  const Rendered fine{{1, 2, 3}, {false, true, false}, 7};
  const auto refuse = [](std::vector<const Rendered*> texts) {
    const auto batch = PadBatch(texts);
    EXPECT_EQ(batch.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(batch.status().message());
  };
  EXPECT_THAT(refuse({&zero, &zero}), AllOf(HasSubstr("line 5, 5"), HasSubstr("all zero")));
  EXPECT_THAT(refuse({&one}), AllOf(HasSubstr("line 6"), HasSubstr("all one")));
  for (const Rendered* other : {&zero, &one}) {
    EXPECT_TRUE(PadBatch(std::vector<const Rendered*>{&fine, other}).ok());
  }
}

}  // namespace
}  // namespace floe::trainer
