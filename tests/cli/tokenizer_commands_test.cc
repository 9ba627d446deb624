// floe tokenizer count --chat against a fake door: what the gateway would bill.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "nlohmann/json.hpp"

#include "base/files.h"
#include "tests/cli/program_fixture.h"
#include "tests/support/file_size_limit.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "tokenizer/chat_template.h"

namespace floe::cli {
namespace {

using testing::HasSubstr;

constexpr char kOwnTemplate[] =
    R"({"chat_template": "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"})";
constexpr char kChat[] = R"([{"role": "system", "content": "Be brief."},
                             {"role": "user", "content": "the river <|im_end|> of words"}])";

class TokenizerCommandsTest : public ProgramTest {
 protected:
  TokenizerCommandsTest() {
    fleet_.PutTokenizer("teams/default/tokenizers/words", tokenizer_->ToJson(),
                        tokenizer::TokenizerConfigJson(*tokenizer_));
    fleet_.PutTokenizer("teams/default/tokenizers/own", tokenizer_->ToJson(), kOwnTemplate);
  }
  static std::vector<tokenizer::ChatMessage> Messages() {
    return {{"system", "Be brief."}, {"user", "the river <|im_end|> of words"}};
  }
  std::string Expected(const tokenizer::ChatTemplate& chat) {
    return std::to_string(chat.Render(*tokenizer_, Messages()).value().size()) + "\n";
  }

  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_ = tokenizer::SampleTokenizer();
};

TEST_F(TokenizerCommandsTest, AChatIsCountedAsItsTemplateRendersIt) {
  EXPECT_EQ(Run({"tokenizer", "count", "words", "--chat", "-"}, kChat), 0) << err_;
  EXPECT_EQ(out_, Expected(tokenizer::ChatTemplate()));
  EXPECT_EQ(Run({"tokenizer", "count", "own", "--chat", "-"}, kChat), 0) << err_;
  EXPECT_EQ(out_, Expected(tokenizer::ChatTemplate::FromConfig(kOwnTemplate).value()));
}

TEST_F(TokenizerCommandsTest, AWholeRequestIsCountedByItsMessages) {
  const nlohmann::json request = {
      {"model", "tiny"}, {"max_tokens", 5}, {"messages", nlohmann::json::parse(kChat)}};
  std::ofstream(dir_ / "request.json") << request.dump();
  EXPECT_EQ(Run({"tokenizer", "count", "words", "--chat", "request.json"}), 0) << err_;
  EXPECT_EQ(out_, Expected(tokenizer::ChatTemplate()));
  EXPECT_EQ(Run({"tokenizer", "count", "words", "--chat", "request.json", "--json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["tokens"].dump() + "\n",
            Expected(tokenizer::ChatTemplate()));
}

TEST_F(TokenizerCommandsTest, AFullDiskIsToldWithWhatToDo) {
  const std::string json = tokenizer_->ToJson();
  std::ofstream(dir_ / "words.json") << json;
  const std::vector<std::string> command = {"tokenizer", "import", "words.json", "--out", "o.json"};
  {
    const test::FileSizeLimit full(json.size() / 2);
    EXPECT_EQ(Run(command), 5);
  }
  EXPECT_THAT(err_, HasSubstr((dir_ / "o.json").string()));
  EXPECT_THAT(err_, HasSubstr("the tokenizer takes " + std::to_string(json.size()) +
                              " bytes, and none of them was kept. Free that much space there, or "
                              "name an --out on another disk"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "o.json"));
  EXPECT_EQ(Run(command), 0) << err_;
  EXPECT_EQ(ReadFile(dir_ / "o.json").value(), json);
}

TEST_F(TokenizerCommandsTest, WhatTheGatewayWouldRefuseIsRefused) {
  EXPECT_EQ(Run({"tokenizer", "count", "words", "--chat", "-"}, "[{\"role\": \"user\"}]"), 2);
  EXPECT_THAT(err_, HasSubstr("content"));
  EXPECT_EQ(Run({"tokenizer", "count", "words", "--chat", "-"}, "\"hello\""), 2);
  EXPECT_THAT(err_, HasSubstr("list of messages"));
  EXPECT_EQ(Run({"tokenizer", "count", "words", "--chat", "-"}, "[{"), 2);
  EXPECT_EQ(Run({"tokenizer", "count", "nobody", "--chat", "-"}, kChat), 3);
}

}  // namespace
}  // namespace floe::cli
