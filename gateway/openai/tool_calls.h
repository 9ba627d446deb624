// The calls of tools in what a model writes, found as the text comes.
//
// Two forms, by the model's chat template: tagged,
//
//   Let me see.<tool_call>
//   {"name": "weather", "arguments": {"city": "Kyiv"}}
//   </tool_call>
//
// any number of them among text, and bare: the whole answer is {"name": …, "parameters": {…}},
// several of them one behind the other or between semicolons. A call that is no JSON, or of a tool
// that was not offered, stays what it is: text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/tools.h"

namespace floe::gateway::openai {

// JSON as who parses it reads it: `\u0040` is `@`, a quote stays escaped. What is no JSON comes
// back as it is. Rules look at this, since a template or a client may write the arguments of a call
// anew.
std::string WithoutEscapes(const std::string& json);

struct CallOptions {
  ToolFormat format = ToolFormat::kNone;
  std::vector<std::string> names;  // that may be called
  bool begun = false;              // the prompt ends inside a call: what comes is its JSON
  size_t most = 128;               // calls; what would be another is text
};

// One an answer. Not thread-safe.
class ToolCallReader {
 public:
  // What became sure: text before calls.
  struct Found {
    std::string content;
    std::vector<ToolCall> calls;  // without ids
  };

  explicit ToolCallReader(CallOptions options)
      : options_(std::move(options)), inside_(options_.begun) {}

  // Text is kept back while it may be the beginning of a call, a call until it is whole.
  Found Push(std::string_view text);
  // The rest: a call that was cut off is text, one that lacks its end alone is a call.
  Found Flush();

  size_t calls() const { return calls_; }

 private:
  void ReadTagged(bool at_end, Found& found);
  void ReadBare(Found& found);
  // A call that may still be made.
  std::optional<ToolCall> Parse(std::string_view json, size_t calls_before) const;

  const CallOptions options_;
  std::string kept_;     // not given out yet
  bool inside_ = false;  // of a call: kept_ is behind its opening tag
  bool plain_ = false;   // of the bare form: it has begun as text
  size_t calls_ = 0;
};

}  // namespace floe::gateway::openai
