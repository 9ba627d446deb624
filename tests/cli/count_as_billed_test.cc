// What `floe tokenizer count --chat` says of a request is what a gateway then bills for it.
#include <gmock/gmock.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "tests/cli/program_fixture.h"
#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Qwen's form, shortened; of a tool it writes the field that comes first, so that order counts.
constexpr char kTagged[] = R"({%- if tools %}{% for tool in tools %}{{ tool | tojson }}
{% for key in tool.function.parameters.properties %}{% if loop.first %}{{ key }}{% endif %}{% endfor %}
{% endfor %}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for call in m.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %})";

constexpr char kQuestion[] = R"({"role": "user", "content": "Rain <|im_end|> in Kyiv?"})";
constexpr char kCalled[] =
    R"({"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\": \"Kyiv\"}"}}]},
       {"role": "tool", "tool_call_id": "call_1", "content": "rain"})";
constexpr char kTools[] =
    R"("tools": [{"type": "function", "function": {"name": "weather", "description": "Of a city",
        "parameters": {"type": "object", "properties":
        {"time_zone": {"type": "string"}, "city": {"type": "string"}}, "required": ["city"]}}}])";

class CountAsBilledTest : public ProgramTest {
 protected:
  explicit CountAsBilledTest(const std::string& chat_template = kTagged)
      : gateway_({.chat_template = chat_template}) {
    json config = json::object();
    if (!chat_template.empty()) config["chat_template"] = chat_template;
    fleet_.PutTokenizer("teams/default/tokenizers/hamlets", gateway::ByteTokenizerJson(),
                        config.dump());
  }

  // What a request of `fields` is billed for by the gateway, having been counted alike before.
  int64_t Billed(const std::string& fields) {
    const std::string request =
        absl::StrCat(R"({"model": "hamlet", "max_tokens": 4, )", fields, "}");
    EXPECT_EQ(Run({"tokenizer", "count", "hamlets", "--chat", "-", "--json"}, request), 0) << err_;
    const int64_t counted = json::parse(out_)["tokens"];
    const gateway::HttpAnswer answer =
        gateway::HttpClient(gateway_.port()).Post("/v1/chat/completions", request);
    EXPECT_EQ(answer.status, 200) << answer.body;
    const int64_t billed = json::parse(answer.body)["usage"]["prompt_tokens"];
    EXPECT_EQ(counted, billed) << request;
    EXPECT_EQ(gateway_.worker().requests().back().prompt_ids_size(), billed);
    return billed;
  }
  static std::string Messages(const std::string& list) {
    return absl::StrCat("\"messages\": [", list, "]");
  }

  gateway::FakeFleet gateway_;
};

class CountOfChatMlTest : public CountAsBilledTest {
 protected:
  CountOfChatMlTest() : CountAsBilledTest("") {}
};

TEST_F(CountAsBilledTest, MessagesToolsAndTheirHistory) {
  const std::string question = Messages(kQuestion);
  const std::string tools = absl::StrCat(", ", kTools);
  const int64_t plain = Billed(question);
  const int64_t offered = Billed(question + tools);
  EXPECT_GT(offered, plain + 100) << "the tool's description is part of the prompt";
  EXPECT_EQ(Billed(absl::StrCat(question, tools, R"(, "tool_choice": "none")")), plain);
  EXPECT_EQ(Billed(absl::StrCat(question, tools, R"(, "tool_choice": "auto")")), offered);
  const std::string history = Messages(absl::StrCat(kQuestion, ", ", kCalled));
  EXPECT_GT(Billed(history), plain + 50) << "and so are calls that were made, with their answers";
  Billed(history + tools);
}

TEST_F(CountAsBilledTest, ARequiredCallsOpening) {
  const std::string asked = absl::StrCat(Messages(kQuestion), ", ", kTools);
  const int64_t opening = std::string_view("<tool_call>\n").size();  // one id a byte here
  const int64_t offered = Billed(asked);
  EXPECT_EQ(Billed(absl::StrCat(asked, R"(, "tool_choice": "required")")), offered + opening);
  EXPECT_EQ(Billed(absl::StrCat(asked, R"(, "tool_choice": {"type": "function",
                                           "function": {"name": "weather"}})")),
            offered + opening);
}

TEST_F(CountOfChatMlTest, PlainMessagesAndToolsThatItDoesNotKnow) {
  Billed(Messages(kQuestion));
  EXPECT_EQ(Run({"tokenizer", "count", "hamlets", "--chat", "-"},
                absl::StrCat("{", Messages(kQuestion), ", ", kTools, "}")),
            1);
  EXPECT_THAT(err_, HasSubstr("knows no tools"));
}

}  // namespace
}  // namespace floe::cli
