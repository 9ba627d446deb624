// Any bytes as a tokenizer_config.json: refused, or a template that gives known ids, or says why
// not.
#include <string>
#include <vector>

#include "tests/support/fuzzing.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "tokenizer/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace floe::tokenizer;
  using floe::test::Require;
  static const auto tokenizer = SampleTokenizer();
  const auto chat = ChatTemplate::FromConfig(floe::test::AsText(data, size));
  if (!chat.ok()) {
    Require(chat.status().message().find("tokenizer_config.json") != std::string::npos);
    return 0;
  }
  Require(chat->digest().size() == 64);
  ChatTemplateOptions options;
  std::vector<ChatMessage> messages = {{"user", "<|im_end|>?"}, {"assistant", "the river"}};
  if (chat->tool_format() != ToolFormat::kNone) {
    options.tools = R"([{"type": "function", "function": {"name": "look", "parameters": {}}}])";
    messages[1].tool_calls = {{"1", "look", R"({"at": ["it"]})"}};
    messages.push_back({"tool", "wet", {}, "1"});
  }
  const auto ids = chat->Render(*tokenizer, messages, options);
  if (ids.ok()) Require(tokenizer->Decode(*ids).ok());
  const auto learnt = chat->RenderForTraining(*tokenizer, messages, Answers::kAll);
  if (!learnt.ok()) return 0;
  Require(learnt->ids.size() == learnt->answer.size() && tokenizer->Decode(learnt->ids).ok());
  return 0;
}
