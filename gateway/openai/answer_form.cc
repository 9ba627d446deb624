#include "gateway/openai/answer_form.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include <nlohmann/json.hpp>

#include "base/view.h"

namespace floe::gateway::openai {
namespace {

using nlohmann::json;
using Kind = ResponseFormat::Kind;

constexpr size_t kMaxTypeBytes = 64;
constexpr size_t kMaxChoices = 1000;
constexpr char kJson[] = "json";

bool IsSchema(const json& value) { return value.is_object() || value.is_boolean(); }

void ReadSchema(FieldReader& format, ResponseFormat& wanted) {
  const json* described = format.Take("json_schema");
  if (described == nullptr || !described->is_object()) {
    format.Fail("json_schema", described == nullptr ? "MISSING_REQUIRED_PARAMETER" : "INVALID_TYPE",
                "must be an object {\"name\": …, \"schema\": …}");
    return;
  }
  FieldReader inner(*described, format.PathOf("json_schema"));
  inner.Ignore("name");
  inner.Ignore("description");
  inner.Bool("strict");
  const json* schema = inner.Take("schema");
  if (schema == nullptr || !IsSchema(*schema)) {
    inner.Fail("schema", schema == nullptr ? "MISSING_REQUIRED_PARAMETER" : "INVALID_TYPE",
               "must be a JSON Schema, an object");
  } else {
    wanted = {Kind::kJsonSchema, schema->dump(), inner.PathOf("schema")};
  }
  format.Adopt("json_schema", inner);
}

// Texts to choose from, as an EBNF grammar.
void ReadChoice(FieldReader& inner, const json& choices, ResponseFormat& wanted) {
  bool fits = choices.is_array() && !choices.empty() && choices.size() <= kMaxChoices;
  std::string grammar = "root ::= ";
  for (size_t i = 0; fits && i < choices.size(); ++i) {
    fits = choices[i].is_string() && !choices[i].get_ref<const std::string&>().empty();
    if (!fits) break;
    if (i > 0) grammar += " | ";
    grammar += '"';
    for (const char c : choices[i].get_ref<const std::string&>()) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || c == '"' || c == '\\') {
        absl::StrAppend(&grammar, "\\x", absl::Hex(byte, absl::kZeroPad2));
      } else {
        grammar += c;
      }
    }
    grammar += '"';
  }
  if (!fits || grammar.size() > kMaxFormBytes) {
    inner.Fail("choice", "INVALID_VALUE",
               absl::StrCat("must be a list of 1 to ", kMaxChoices,
                            " texts that are not empty, of at most ", kMaxFormBytes, " bytes"));
    return;
  }
  wanted = {Kind::kGrammar, std::move(grammar), inner.PathOf("choice")};
}

// A schema may be sent as its text too, as vLLM takes it.
void ReadJson(FieldReader& inner, const json& schema, ResponseFormat& wanted) {
  if (!schema.is_string() && !IsSchema(schema)) {
    inner.Fail(kJson, "INVALID_TYPE", "must be a JSON Schema, an object");
    return;
  }
  wanted = {Kind::kJsonSchema, schema.is_string() ? schema.get<std::string>() : schema.dump(),
            inner.PathOf(kJson)};
}

}  // namespace

void ReadResponseFormat(FieldReader& fields, ResponseFormat& wanted) {
  const json* value = fields.Take("response_format");
  if (value == nullptr) return;
  if (!value->is_object()) {
    fields.Fail("response_format", "INVALID_TYPE",
                absl::StrCat("is ", AbslView(TypeName(*value)), "; write an object"));
    return;
  }
  FieldReader format(*value, "response_format");
  const auto type = format.String("type", kMaxTypeBytes);
  if (wanted.kind != Kind::kText && type != "text") {
    fields.Fail("response_format", "INVALID_VALUE",
                "stands beside structured_outputs; send one of the two");
  }
  if (type == "json_schema") {
    ReadSchema(format, wanted);
  } else if (type == "json_object") {
    wanted = {Kind::kJsonObject, "", "response_format"};
  } else if (type != "text") {
    format.Fail("type", type ? "INVALID_VALUE" : "MISSING_REQUIRED_PARAMETER",
                "must be text, json_object or json_schema");
  }
  fields.Adopt("response_format", format);
}

void ReadStructuredOutputs(FieldReader& fields, ResponseFormat& wanted) {
  const json* value = fields.Take("structured_outputs");
  if (value == nullptr) return;
  if (!value->is_object()) {
    fields.Fail("structured_outputs", "INVALID_TYPE",
                absl::StrCat("is ", AbslView(TypeName(*value)), "; write an object"));
    return;
  }
  FieldReader inner(*value, "structured_outputs");
  const json* schema = inner.Take(kJson);
  const json* choice = inner.Take("choice");
  const bool object = inner.Bool("json_object").value_or(false);
  const auto regex = inner.String("regex", kMaxFormBytes);
  const auto grammar = inner.String("grammar", kMaxFormBytes);
  const int given = (schema != nullptr ? 1 : 0) + (choice != nullptr ? 1 : 0) + (object ? 1 : 0) +
                    (regex ? 1 : 0) + (grammar ? 1 : 0);
  if (given != 1) {
    inner.Fail("", "INVALID_VALUE", "must have one of json, json_object, regex, choice, grammar");
  } else if (regex) {
    wanted = {Kind::kRegex, *regex, inner.PathOf("regex")};
  } else if (grammar) {
    wanted = {Kind::kGrammar, *grammar, inner.PathOf("grammar")};
  } else if (object) {
    wanted = {Kind::kJsonObject, "", inner.PathOf("json_object")};
  } else if (choice != nullptr) {
    ReadChoice(inner, *choice, wanted);
  } else {
    ReadJson(inner, *schema, wanted);
  }
  fields.Adopt("structured_outputs", inner);
}

void KeepSchemaOrder(std::string_view body, ResponseFormat& wanted) {
  if (wanted.kind != Kind::kJsonSchema) return;
  const auto whole = nlohmann::ordered_json::parse(body, nullptr, /*allow_exceptions=*/false);
  const nlohmann::ordered_json* at = &whole;
  for (const absl::string_view name : absl::StrSplit(wanted.param, '.')) {
    const auto found = at->find(std::string(name));
    if (!at->is_object() || found == at->end()) return;
    at = &*found;
  }
  if (!at->is_string()) wanted.text = at->dump();
}

}  // namespace floe::gateway::openai
