#include "gateway/openai/tools.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/view.h"

namespace floe::gateway::openai {
namespace {

using nlohmann::json;
using Ordered = nlohmann::ordered_json;

constexpr size_t kUnlimited = kMaxToolBytes;

bool IsToolName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxToolNameBytes &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

// The reader of `value`, one object of `outer`; nullptr, and a mistake there, when it is none.
const json* ObjectIn(FieldReader& outer, std::string_view name) {
  const json* value = outer.Take(name);
  if (value != nullptr && value->is_object()) return value;
  outer.Fail(name, value == nullptr ? "MISSING_REQUIRED_PARAMETER" : "INVALID_TYPE",
             "must be an object");
  return nullptr;
}

Tool ReadFunction(FieldReader& function) {
  Tool tool;
  tool.name = function.String("name", kMaxToolNameBytes).value_or("");
  if (!function.failed() && !IsToolName(tool.name)) {
    function.Fail("name", tool.name.empty() ? "MISSING_REQUIRED_PARAMETER" : "INVALID_VALUE",
                  "must be 1 to 64 letters, digits, underscores or dashes");
  }
  function.String("description", kUnlimited);
  function.Ignore("strict");
  const json* parameters = function.Take("parameters");
  if (parameters == nullptr) return tool;
  if (!parameters->is_object()) {
    function.Fail("parameters", "INVALID_TYPE", "must be a JSON Schema: an object");
  } else if (!parameters->empty()) {
    tool.parameters = parameters->dump();
  }
  return tool;
}

Tool ReadTool(FieldReader& fields, const json& value, const std::string& path) {
  Tool tool;
  if (!value.is_object()) {
    fields.Fail(FieldError(path, "INVALID_TYPE",
                           absl::StrCat(path, " is ", AbslView(TypeName(value)),
                                        R"(; write {"type": "function", "function": {…}})")));
    return tool;
  }
  FieldReader outer(value, path);
  const auto type = outer.String("type", kMaxToolNameBytes);
  if (!outer.failed() && type != "function") {
    outer.Fail("type", "UNSUPPORTED_PARAMETER", "must be function: there are no other tools here");
  }
  if (const json* function = ObjectIn(outer, "function")) {
    FieldReader inner(*function, outer.PathOf("function"));
    tool = ReadFunction(inner);
    outer.AdoptElement(inner);
  }
  fields.AdoptElement(outer);
  return tool;
}

void ReadList(FieldReader& fields, ToolAsk& tools) {
  const json* list = fields.Take("tools");
  if (list == nullptr) return;
  if (!list->is_array() || list->size() > kMaxTools) {
    fields.Fail("tools", list->is_array() ? "INVALID_VALUE" : "INVALID_TYPE",
                absl::StrCat("must be an array of at most ", kMaxTools, " functions"));
    return;
  }
  for (size_t i = 0; i < list->size() && !fields.failed(); ++i) {
    Tool tool = ReadTool(fields, (*list)[i], absl::StrCat("tools[", i, "]"));
    const bool twice = std::any_of(tools.tools.begin(), tools.tools.end(),
                                   [&](const Tool& other) { return other.name == tool.name; });
    if (twice) fields.Fail("tools", "INVALID_VALUE", "name a function twice: " + tool.name);
    tools.tools.push_back(std::move(tool));
  }
  if (list->empty() || fields.failed()) return;
  tools.json = list->dump();
  if (tools.json.size() > kMaxToolBytes) {
    fields.Fail("tools", "INVALID_VALUE",
                absl::StrCat("take ", tools.json.size(), " bytes; at most ", kMaxToolBytes));
  }
}

// {"type": "function", "function": {"name": …}}: that one must be called.
void ReadNamed(FieldReader& fields, const json& value, ToolAsk& tools) {
  FieldReader outer(value, fields.PathOf("tool_choice"));
  const auto type = outer.String("type", kMaxToolNameBytes);
  if (!outer.failed() && type != "function") {
    outer.Fail("type", "UNSUPPORTED_PARAMETER", "must be function");
  }
  if (const json* function = ObjectIn(outer, "function")) {
    FieldReader inner(*function, outer.PathOf("function"));
    const std::string name = inner.String("name", kMaxToolNameBytes).value_or("");
    std::erase_if(tools.tools, [&](const Tool& tool) { return tool.name != name; });
    if (tools.tools.empty()) inner.Fail("name", "INVALID_VALUE", "is none of tools");
    outer.AdoptElement(inner);
  }
  tools.choice = ToolAsk::Choice::kRequired;
  fields.AdoptElement(outer);
}

void ReadChoice(FieldReader& fields, ToolAsk& tools) {
  tools.choice = tools.tools.empty() ? ToolAsk::Choice::kNone : ToolAsk::Choice::kAuto;
  const json* choice = fields.Take("tool_choice");
  if (choice == nullptr || fields.failed()) return;
  if (choice->is_object()) return ReadNamed(fields, *choice, tools);
  if (*choice == "none") {
    tools.choice = ToolAsk::Choice::kNone;
  } else if (*choice == "required") {
    tools.choice = ToolAsk::Choice::kRequired;
    if (tools.tools.empty()) fields.Fail("tool_choice", "INVALID_VALUE", "wants tools");
  } else if (*choice != "auto") {
    fields.Fail("tool_choice", "INVALID_VALUE",
                "must be none, auto, required or {\"type\": \"function\", \"function\": {name}}");
  }
}

}  // namespace

void ReadTools(FieldReader& fields, ToolAsk& tools) {
  ReadList(fields, tools);
  ReadChoice(fields, tools);
  // A reference starts at the root of its schema, which CallSchema makes another one.
  const bool refers = std::any_of(tools.tools.begin(), tools.tools.end(), [](const Tool& tool) {
    return tool.parameters.find(R"("$ref":)") != std::string::npos;
  });
  if (refers && tools.choice == ToolAsk::Choice::kRequired) {
    fields.Fail("tool_choice", "INVALID_VALUE",
                "cannot require a function whose parameters have a $ref; write the schema out");
  }
  tools.parallel = fields.Bool("parallel_tool_calls").value_or(true);
}

void KeepToolOrder(std::string_view body, ToolAsk& tools) {
  if (tools.json.empty()) return;
  const Ordered object = Ordered::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto list = object.find("tools");
  tools.json = list->dump();
  for (const Ordered& one : *list) {
    const Ordered& function = one.at("function");
    for (Tool& tool : tools.tools) {
      if (!tool.parameters.empty() && function.at("name") == tool.name) {
        tool.parameters = function.at("parameters").dump();
      }
    }
  }
}

std::string CallSchema(const std::vector<Tool>& tools, std::string_view arguments) {
  Ordered any = Ordered::array();
  for (const Tool& tool : tools) {
    const Ordered parameters = tool.parameters.empty()
                                   ? Ordered{{"type", "object"}, {"properties", Ordered::object()}}
                                   : Ordered::parse(tool.parameters, nullptr, false);
    const std::string key(arguments);
    any.push_back({{"type", "object"},
                   {"properties", {{"name", {{"const", tool.name}}}, {key, parameters}}},
                   {"required", {"name", key}},
                   {"additionalProperties", false}});
  }
  return any.size() == 1 ? any[0].dump() : Ordered{{"anyOf", std::move(any)}}.dump();
}

}  // namespace floe::gateway::openai
