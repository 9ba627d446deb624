// Functions that a client offers a model to call, and the calls that it makes. Values.
#pragma once

#include <string>
#include <vector>

namespace floe::gateway {

// How a model writes a call: by its chat template (tokenizer/chat_template.h says the forms).
enum class ToolFormat { kNone, kTagged, kBare };

struct ToolCall {
  std::string id;  // of the answer it stands in; by which the tool's message names it
  std::string name;
  std::string arguments;  // a JSON object
  bool operator==(const ToolCall&) const = default;
};

struct Tool {
  std::string name;
  std::string parameters;  // JSON Schema of an object; empty: takes none
  bool operator==(const Tool&) const = default;
};

// `tools` and `tool_choice`.
struct ToolAsk {
  enum class Choice { kAuto, kNone, kRequired };
  std::vector<Tool> tools;  // that may be called: where one is named, that one
  std::string json;         // the array as the client wrote it, for the template; empty: no tools
  Choice choice = Choice::kNone;
  bool parallel = true;  // more than one call in one answer

  bool offered() const { return choice != Choice::kNone && !tools.empty(); }
};

}  // namespace floe::gateway
