#include "trainer/alignment/chat_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace floe::trainer {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kChat[] =
    R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]})";
constexpr char kPair[] = R"({"prompt": "What?", "chosen": "This.", "rejected": "That.", "id": 7})";
constexpr char kQuestion[] = R"({"prompt": "Which?", "choices": ["a", "b"], "answer": 1})";

TEST(ChatDataTest, ReadsTheThreeFormats) {
  const auto chats = ParseChats(absl::StrCat("\n", kChat, "\r\n  \n", kChat));
  ASSERT_TRUE(chats.ok()) << chats.status();
  ASSERT_EQ(chats->size(), 2u);
  EXPECT_EQ((*chats)[0].line, 2);
  EXPECT_EQ((*chats)[1].line, 4);
  EXPECT_EQ((*chats)[0].messages[1].content, "Yes");

  const auto pairs = ParsePreferences(kPair);
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  EXPECT_EQ((*pairs)[0].prompt[0].role, "user");
  EXPECT_EQ((*pairs)[0].prompt[0].content, "What?");
  EXPECT_EQ((*pairs)[0].chosen, "This.");
  EXPECT_EQ((*pairs)[0].rejected, "That.");

  const auto questions = ParseChoices(kQuestion);
  ASSERT_TRUE(questions.ok()) << questions.status();
  EXPECT_THAT((*questions)[0].choices, ElementsAre("a", "b"));
  EXPECT_EQ((*questions)[0].answer, 1);
}

TEST(ChatDataTest, PromptsAndAnswersMayBeMessages) {
  const auto pairs = ParsePreferences(
      R"({"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Q"}],)"
      R"("chosen": [{"role": "assistant", "content": "A"}], "rejected": "B"})");
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  EXPECT_EQ((*pairs)[0].prompt.size(), 2u);
  EXPECT_EQ((*pairs)[0].chosen, "A");
}

// The message of the first mistake in `line`, which stands third in the file.
template <typename Parse>
std::string Mistake(Parse parse, std::string_view good, const std::string& line) {
  const auto parsed = parse(absl::StrCat(std::string(good), "\n", std::string(good), "\n", line));
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << line;
  return std::string(parsed.status().message());
}

TEST(ChatDataTest, AMissingFieldIsNamedWithItsLine) {
  const auto pair = [](const std::string& line) { return Mistake(ParsePreferences, kPair, line); };
  EXPECT_THAT(pair(R"({"prompt": "q", "chosen": "a"})"),
              AllOf(HasSubstr("line 3: \"rejected\" is missing"), HasSubstr("a preference is")));
  EXPECT_THAT(pair(R"({"chosen": "a", "rejected": "b"})"),
              HasSubstr("line 3: \"prompt\" is missing"));
  EXPECT_THAT(pair(R"({"prompt": "q", "rejected": "b"})"),
              HasSubstr("line 3: \"chosen\" is missing"));
  const auto chat = [](const std::string& line) { return Mistake(ParseChats, kChat, line); };
  EXPECT_THAT(chat(R"({"text": "x"})"), HasSubstr("line 3: \"messages\" is missing"));
  EXPECT_THAT(chat(R"({"messages": [{"role": "user"}]})"),
              HasSubstr("line 3: \"content\" is missing; messages[0]"));
  EXPECT_THAT(Mistake(ParseChoices, kQuestion, R"({"prompt": "q", "choices": ["a", "b"]})"),
              HasSubstr("line 3: \"answer\" is missing"));
}

TEST(ChatDataTest, WrongValuesAreNamedWithTheirLine) {
  const auto pair = [](const std::string& line) { return Mistake(ParsePreferences, kPair, line); };
  EXPECT_THAT(pair(R"({"prompt": "q", "chosen": 7, "rejected": "b"})"),
              HasSubstr("line 3: \"chosen\" must be a text, not number"));
  EXPECT_THAT(pair(R"({"prompt": "q", "chosen": " ", "rejected": "b"})"),
              HasSubstr("line 3: \"chosen\" is empty"));
  EXPECT_THAT(pair(R"({"prompt": "q", "chosen": "a", "rejected": "a"})"),
              HasSubstr("line 3: \"chosen\" and \"rejected\" are the same text"));
  EXPECT_THAT(pair(R"({"prompt": [], "chosen": "a", "rejected": "b"})"),
              HasSubstr("line 3: \"prompt\" must be a list"));
  EXPECT_THAT(pair(R"({"prompt": [{"role": "assistant", "content": "x"}], "chosen": "a",)"
                   R"("rejected": "b"})"),
              HasSubstr("must end with the question"));
  EXPECT_THAT(pair(R"({"prompt": "q", "chosen": [{"role": "user", "content": "x"}],)"
                   R"("rejected": "b"})"),
              HasSubstr("one assistant's message"));
  EXPECT_THAT(pair("[1, 2]"), HasSubstr("line 3: it is not a JSON object"));
  EXPECT_THAT(pair("{\"prompt\": \"\xff\"}"), HasSubstr("line 3: it is not a JSON object"));
  EXPECT_THAT(pair(R"({"prompt": "q")"), HasSubstr("line 3: it is not a JSON object"));
  const auto chat = [](const std::string& line) { return Mistake(ParseChats, kChat, line); };
  EXPECT_THAT(chat(R"({"messages": [{"role": "user", "content": "x"}]})"),
              HasSubstr("nothing to learn"));
  EXPECT_THAT(chat(R"({"messages": [{"role": "robot", "content": "x"}]})"),
              HasSubstr("messages[0].role is \"robot\""));
  EXPECT_THAT(chat(R"({"messages": ["x"]})"), HasSubstr("messages[0] must be"));
  const auto question = [](const std::string& line) {
    return Mistake(ParseChoices, kQuestion, line);
  };
  EXPECT_THAT(question(R"({"prompt": "q", "choices": ["a"], "answer": 0})"),
              HasSubstr("\"choices\" must be a list of 2"));
  EXPECT_THAT(question(R"({"prompt": "q", "choices": ["a", "b"], "answer": 2})"),
              HasSubstr("\"answer\" must be the index of the right choice, 0 to 1"));
  EXPECT_THAT(question(R"({"prompt": "q", "choices": ["a", "b"], "answer": "a"})"),
              HasSubstr("\"answer\" must be the index"));
}

TEST(ChatDataTest, AFileWithoutAnExampleIsRefused) {
  EXPECT_THAT(std::string(ParseChats("\n \n").status().message()), HasSubstr("empty"));
  EXPECT_EQ(*CountExamples(absl::StrCat(kPair, "\n", kPair), ChatFormat::kPreference), 2);
  EXPECT_FALSE(CountExamples(kPair, ChatFormat::kChat).ok());
  EXPECT_EQ(ChatFormatFromName("choices"), ChatFormat::kChoices);
  EXPECT_EQ(ChatFormatFromName("text"), std::nullopt);
}

}  // namespace
}  // namespace floe::trainer
