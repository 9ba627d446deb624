// What rules make of tools and their calls, and what the audit keeps of them: as of texts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "gateway/audit/record.h"
#include "gateway/stages.h"
#include "tests/gateway/asio_run.h"
#include "tests/gateway/fake_ports.h"
#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kTools[] =
    R"([{"type":"function","function":{"name":"pay","description":"Pays with a card"}}])";
constexpr char kCall[] = R"(<tool_call>{"name": "pay", "arguments": {"card": "%s"}}</tool_call>)";
constexpr char kCard[] = "4111 1111 1111 1111";
constexpr char kEscapedCard[] = R"(4111\u00201111 1111 1111)";

Message Calls(std::string arguments) {
  return {"assistant", "", {{"call_1", "pay", std::move(arguments)}}};
}

class ToolAuditTest : public testing::Test {
 protected:
  ToolAuditTest() {
    ask_.tools = {.tools = {{"pay", ""}}, .json = kTools, .choice = ToolAsk::Choice::kAuto};
    Ask({{"user", "Pay!"}});
    Say("Done.");
  }
  void Ask(std::vector<Message> messages) { ask_.prompts = {std::move(messages)}; }
  void Say(const std::string& text) { fakes_.pieces = {Text("I see. "), Last(text)}; }
  static std::string CallWith(const std::string& card) {
    std::string call = kCall;
    return call.replace(call.find("%s"), 2, card);
  }

  // Runs the request under a policy that has these rules.
  absl::Status Run(const std::string& rules) {
    fakes_.SetPolicy("defaults: {audit_text: true" + (rules.empty() ? "" : ", " + rules) + "}");
    sink_ = std::make_unique<FakeSink>(fakes_);
    request_ = Request();
    request_.id = "request";
    request_.authorization = "Bearer floe-secret";
    request_.ask = ask_;
    request_.sink = sink_.get();
    return RunToEnd(GeneratingPipeline(fakes_.Ports(clock_)).Run(request_));
  }
  json Audit() const { return json::parse(AuditLine(request_, {.status = 200})); }
  std::vector<ToolCall> CallsOut() const {
    std::vector<ToolCall> calls;
    for (const Piece& piece : sink_->pieces) {
      calls.insert(calls.end(), piece.calls.begin(), piece.calls.end());
    }
    return calls;
  }

  test::FakeClock clock_;
  FakePorts fakes_;
  std::unique_ptr<FakeSink> sink_;
  gateway::Ask ask_{.model = "hamlet", .max_tokens = 20};
  Request request_;
};

TEST_F(ToolAuditTest, HasToolsAndTheCallsOfBothSides) {
  Message result{"tool", "paid"};
  result.tool_call_id = "call_1";
  Ask({{"user", "Pay!"}, Calls(R"({"sum": 3})"), result});
  Say(CallWith("none"));
  ASSERT_TRUE(Run("").ok());
  const json line = Audit();
  EXPECT_EQ(line["tools"], json::parse(kTools));
  const json call = {{"id", "call_1"}, {"name", "pay"}, {"arguments", R"({"sum": 3})"}};
  EXPECT_EQ(line["prompt"][1]["tool_calls"], json({call}));
  EXPECT_EQ(line["prompt"][2]["tool_call_id"], "call_1");
  EXPECT_FALSE(line["prompt"][0].contains("tool_calls"));
  EXPECT_EQ(line["answer"], "I see.") << "a call is no text";
  const json made = {
      {"id", "call_request_0_0"}, {"name", "pay"}, {"arguments", R"({"card":"none"})"}};
  EXPECT_EQ(line["answer_calls"], json({made}));
}

TEST_F(ToolAuditTest, HasNoneOfThatUnlessThePolicySaysSo) {
  Say(CallWith("none"));
  ASSERT_TRUE(Run("").ok());
  fakes_.SetPolicy("");
  request_.policy = fakes_.policy;
  request_.rules = &fakes_.policy->For("nlp");
  const json line = Audit();
  for (const char* field : {"prompt", "answer", "tools", "answer_calls"}) {
    EXPECT_FALSE(line.contains(field)) << field;
  }
}

TEST_F(ToolAuditTest, ASecretInACallIsMaskedAsInText) {
  for (const char* card : {kCard, kEscapedCard}) {
    Say(std::string("With ") + kCard + "." + CallWith(card));
    ASSERT_TRUE(Run("output: [{detector: card, action: mask}]").ok());
    const json line = Audit();
    EXPECT_EQ(line["answer"], "I see. With [card].");
    ASSERT_THAT(line["answer_calls"], SizeIs(1)) << line;
    EXPECT_EQ(line["answer_calls"][0]["arguments"], R"({"card":"[card]"})");
    EXPECT_THAT(line.dump(), Not(HasSubstr("1111")));
    // What is in the audit is what left.
    ASSERT_THAT(CallsOut(), SizeIs(1));
    EXPECT_EQ(CallsOut()[0].arguments, R"({"card":"[card]"})");
    EXPECT_THAT(request_.findings, SizeIs(2));
  }
}

TEST_F(ToolAuditTest, ASecretInACallEndsTheAnswerWhereARuleBlocks) {
  for (const char* card : {kCard, kEscapedCard}) {
    Say(CallWith(card) + " and more");
    ASSERT_TRUE(Run("output: [{detector: card, action: block}]").ok());
    const json line = Audit();
    EXPECT_EQ(line["finish_reason"], "content_filter") << card;
    EXPECT_THAT(line.dump(), Not(HasSubstr("1111")));
    EXPECT_THAT(line["answer"].get<std::string>(), Not(HasSubstr("and more")));
    EXPECT_EQ(line["findings"][0]["rule"], "card");
    EXPECT_THAT(CallsOut(), IsEmpty());
  }
}

// Arguments are JSON, which a mask could break: what would be masked is refused.
TEST_F(ToolAuditTest, ASecretInACallThatAClientSendsBackIsInNoRecord) {
  for (const char* card : {kCard, kEscapedCard}) {
    for (const char* action : {"mask", "block"}) {
      Ask({{"user", "Pay!"}, Calls(std::string(R"({"card": ")") + card + "\"}")});
      const absl::Status status =
          Run(std::string("input: [{detector: card, action: ") + action + "}]");
      ASSERT_TRUE(ReasonOf(status)) << status;
      EXPECT_EQ(ReasonOf(status)->reason, "CONTENT_BLOCKED");
      EXPECT_EQ(ReasonOf(status)->metadata.at("param"),
                "messages[1].tool_calls[0].function.arguments");
      const json line = Audit();
      EXPECT_TRUE(line["prompt"].is_null());
      EXPECT_FALSE(line.contains("tools"));
      EXPECT_THAT(line.dump(), Not(HasSubstr("1111")));
      EXPECT_EQ(fakes_.starts, 0);
    }
  }
}

TEST_F(ToolAuditTest, ASecretInTheNameOfACallIsMaskedInTheRecord) {
  Message result{"tool", "paid"};
  result.tool_call_id = kCard;
  Ask({{"user", "Pay!"}, {"assistant", "", {{kCard, std::string("pay ") + kCard, "{}"}}}, result});
  ASSERT_TRUE(Run("input: [{detector: card, action: mask}]").ok());
  const json prompt = Audit()["prompt"];
  EXPECT_EQ(prompt[1]["tool_calls"][0]["id"], "[card]");
  EXPECT_EQ(prompt[1]["tool_calls"][0]["name"], "pay [card]");
  EXPECT_EQ(prompt[2]["tool_call_id"], "[card]");
}

}  // namespace
}  // namespace floe::gateway
