// Any bytes as a chat template: refused, or rendered within its bounds, and then every byte that a
// message wrote is still known as such.
#include <cstdint>
#include <cstdlib>

#include "tokenizer/jinja/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace floe::tokenizer::jinja;
  const auto loaded = Template::Load({reinterpret_cast<const char*>(data), size});
  if (!loaded.ok()) return 0;
  RenderInput input;
  input.work = 200'000;
  Budget budget(input.work);
  std::vector<Value> messages;
  for (const char* role : {"user", "assistant"}) {
    std::vector<std::pair<Text, Value>> message;
    message.emplace_back(Text("role", Origin::kTemplate), Value::Of(role, Origin::kRole));
    message.emplace_back(Text("content", Origin::kTemplate), Value::Of("\x01\x02", Origin::kData));
    messages.push_back(*MakeMap(std::move(message), budget));
  }
  input.variables["messages"] = *MakeList(std::move(messages), budget);
  input.variables["add_generation_prompt"] = Value::Of(true);
  const auto rendering = loaded->Render(std::move(input));
  if (!rendering.ok()) return 0;
  const Text& text = rendering->text;
  if (text.bytes.size() != text.origins.size()) std::abort();
  // A template cannot spell these bytes itself unless they stand in it.
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  if (source.find('\x01') != source.npos || source.find('\\') != source.npos) return 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.bytes[i] == '\x01' && text.origins[i] != static_cast<char>(Origin::kData)) {
      std::abort();
    }
  }
  for (const auto& [begin, end] : rendering->generations) {
    if (begin > end || end > text.size()) std::abort();
  }
  return 0;
}
