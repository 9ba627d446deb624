#include "inference/grammar/schema_words.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "inference/grammar/text_cursor.h"

namespace floe::inference::grammar {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<std::string_view, 14> kDescribing = {
    "$schema",         "$id",        "$comment",   "$defs",    "definitions", "title",
    "default",         "examples",   "deprecated", "readOnly", "writeOnly",   "contentMediaType",
    "contentEncoding", "description"};

constexpr std::array<Pair, 15> kTypedKeywords = {{{"minLength", "string"},
                                                  {"maxLength", "string"},
                                                  {"pattern", "string"},
                                                  {"format", "string"},
                                                  {"minimum", "number"},
                                                  {"maximum", "number"},
                                                  {"exclusiveMinimum", "number"},
                                                  {"exclusiveMaximum", "number"},
                                                  {"items", "array"},
                                                  {"prefixItems", "array"},
                                                  {"minItems", "array"},
                                                  {"maxItems", "array"},
                                                  {"properties", "object"},
                                                  {"required", "object"},
                                                  {"additionalProperties", "object"}}};

constexpr std::array<std::string_view, 7> kTypes = {"null",   "boolean", "integer", "number",
                                                    "string", "array",   "object"};

// Real days, but for 29 February.
constexpr char kDate[] =
    R"(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8])))";
constexpr char kTime[] =
    R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))";
constexpr char kUuid[] = R"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})";
constexpr char kIpv4[] =
    R"(((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))";
constexpr char kEmail[] =
    R"([A-Za-z0-9][A-Za-z0-9_+-]{0,40}(\.[A-Za-z0-9_+-]{1,20}){0,2}@([A-Za-z0-9]{1,30}\.){1,3}[A-Za-z]{2,10})";

constexpr std::array<Pair, 5> kFormats = {
    {{"date", kDate}, {"time", kTime}, {"uuid", kUuid}, {"ipv4", kIpv4}, {"email", kEmail}}};

std::string_view Find(std::span<const Pair> pairs, std::string_view key) {
  for (const auto& [name, value] : pairs) {
    if (name == key) return value;
  }
  return {};
}

const Json* Member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

// The values that a property may have, where the schema lists them.
std::vector<Json> ValuesOf(const Json& schema, const std::string& property) {
  const Json* properties = Member(schema, "properties");
  const Json* one = properties == nullptr ? nullptr : Member(*properties, property.c_str());
  if (one == nullptr) return {};
  if (const Json* constant = Member(*one, "const")) return {*constant};
  const Json* choices = Member(*one, "enum");
  if (choices == nullptr || !choices->is_array()) return {};
  return {choices->begin(), choices->end()};
}

bool Requires(const Json& schema, const std::string& property) {
  const Json* required = Member(schema, "required");
  return required != nullptr && required->is_array() &&
         std::find(required->begin(), required->end(), Json(property)) != required->end();
}

// A property that both require, with no value in common.
bool AreToldApart(const Json& a, const Json& b) {
  const Json* properties = Member(a, "properties");
  if (properties == nullptr || !properties->is_object()) return false;
  for (const auto& [name, unused] : properties->items()) {
    if (!Requires(a, name) || !Requires(b, name)) continue;
    const std::vector<Json> in_a = ValuesOf(a, name), in_b = ValuesOf(b, name);
    if (in_a.empty() || in_b.empty()) continue;
    const bool common = std::any_of(in_a.begin(), in_a.end(), [&](const Json& value) {
      return std::find(in_b.begin(), in_b.end(), value) != in_b.end();
    });
    if (!common) return true;
  }
  return false;
}

bool SameKind(const std::string& a, const std::string& b) {
  return a == b || (a == "integer" && b == "number") || (a == "number" && b == "integer");
}

}  // namespace

bool IsDescribing(std::string_view keyword) {
  return std::find(kDescribing.begin(), kDescribing.end(), keyword) != kDescribing.end();
}

std::string_view TypeOfKeyword(std::string_view keyword) { return Find(kTypedKeywords, keyword); }

absl::StatusOr<std::vector<std::string>> TypesOf(const Json& schema) {
  std::vector<std::string> types;
  const Json* named = Member(schema, "type");
  if (named == nullptr) {
    for (const auto& [keyword, unused] : schema.items()) {
      const std::string type(TypeOfKeyword(keyword));
      if (!type.empty() && std::find(types.begin(), types.end(), type) == types.end()) {
        types.push_back(type);
      }
    }
    return types;
  }
  for (const Json& one : named->is_array() ? *named : Json::array({*named})) {
    const std::string type = one.is_string() ? one.get<std::string>() : "";
    if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
      return absl::InvalidArgumentError(
          "type must be null, boolean, integer, number, string, array or object, or a list of "
          "them");
    }
    types.push_back(type);
  }
  if (types.empty()) return absl::InvalidArgumentError("type must name at least one type");
  return types;
}

bool IsOfType(const Json& value, std::string_view type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  return value.is_object();
}

bool AreDisjoint(const Json& a, const Json& b) {
  if (!a.is_object() || !b.is_object()) return false;
  const auto types_a = TypesOf(a), types_b = TypesOf(b);
  if (!types_a.ok() || !types_b.ok() || types_a->empty() || types_b->empty()) return false;
  const bool typed = Member(a, "type") != nullptr && Member(b, "type") != nullptr;
  const bool common = std::any_of(types_a->begin(), types_a->end(), [&](const std::string& type) {
    return std::any_of(types_b->begin(), types_b->end(),
                       [&](const std::string& other) { return SameKind(type, other); });
  });
  return (typed && !common) || AreToldApart(a, b);
}

absl::StatusOr<std::optional<int>> CountOf(const Json& schema, const char* keyword) {
  const Json* value = Member(schema, keyword);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_unsigned()) {
    return absl::InvalidArgumentError(absl::StrCat(keyword, " must be an integer, at least 0"));
  }
  if (value->get<uint64_t>() > static_cast<uint64_t>(kMaxRepeat)) {
    return absl::InvalidArgumentError(absl::StrCat(keyword, " is above ", kMaxRepeat));
  }
  return value->get<int>();
}

std::string PatternOfFormat(std::string_view format) {
  if (format == "date-time") return absl::StrCat(kDate, "T", kTime);
  return std::string(Find(kFormats, format));
}

}  // namespace floe::inference::grammar
