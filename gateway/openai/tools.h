// `tools`, `tool_choice` and `parallel_tool_calls`: what a model may call.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

#include "gateway/openai/field_reader.h"
#include "gateway/tools.h"

namespace floe::gateway::openai {

inline constexpr size_t kMaxTools = 128;  // as OpenAI's API
inline constexpr size_t kMaxToolNameBytes = 64;
inline constexpr size_t kMaxToolBytes = 256 << 10;  // of all descriptions together

// Reads the three fields. A tool is {"type": "function", "function": {name, description,
// parameters}}; names are 1 to 64 of letters, digits, `_` and `-`, and each stands once.
void ReadTools(FieldReader& fields, ToolAsk& tools);

// JSON forgets in which order fields came, and templates write them as they came: writes
// `tools.json` and the parameters again as `body`, which is valid JSON, has them.
void KeepToolOrder(std::string_view body, ToolAsk& tools);

// The form of an answer that must be one call, written with `arguments` as that key: a JSON Schema.
std::string CallSchema(const std::vector<Tool>& tools, std::string_view arguments);

}  // namespace floe::gateway::openai
