#include "inference/grammar/schema_reader.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "inference/grammar/schema_words.h"

namespace floe::inference::grammar {
namespace {

constexpr int kMaxDepth = 32;

// The schema that a pointer leads to; null when it leads nowhere.
const Json* Follow(const Json& root, const std::string& pointer) {
  try {
    const Json::json_pointer path(pointer);
    return root.contains(path) ? &root.at(path) : nullptr;
  } catch (const Json::exception&) {  // it is no pointer
    return nullptr;
  }
}

}  // namespace

SchemaReader::Place SchemaReader::Place::In(std::string_view keyword) const {
  return {absl::StrCat(pointer, "/",
                       absl::StrReplaceAll(AbslView(keyword), {{"~", "~0"}, {"/", "~1"}})),
          depth + 1};
}

absl::Status SchemaReader::Place::Wrong(std::string_view what) const {
  return absl::InvalidArgumentError(
      absl::StrCat("the schema, at ", pointer.empty() ? "the top" : absl::CHexEscape(pointer), ": ",
                   AbslView(what)));
}

absl::StatusOr<Draft> SchemaReader::Read() {
  draft_.rules.push_back({"#", {}});
  rule_of_reference_[""] = 0;
  unread_.emplace_back("", 0);
  while (!unread_.empty()) {
    const auto [pointer, rule] = unread_.back();
    unread_.pop_back();
    FLOE_ASSIGN_OR_RETURN(Expression body, ReadSchema(*Follow(root_, pointer), {pointer, 0}));
    draft_.rules[static_cast<size_t>(rule)].body = std::move(body);
  }
  return std::move(draft_);
}

absl::StatusOr<Expression> SchemaReader::ReadSchema(const Json& schema, const Place& place) {
  if (place.depth > kMaxDepth) return place.Wrong("the schema nests deeper than 32 levels");
  if (schema.is_boolean()) return schema.get<bool>() ? rules_.Value() : Expression::Choice({});
  if (!schema.is_object()) return place.Wrong("a schema must be an object, true or false");
  if (schema.contains("$ref")) return ReadReference(schema, place);
  if (schema.contains("const") || schema.contains("enum")) return ReadChoices(schema, place);
  for (const char* keyword : {"anyOf", "oneOf", "allOf"}) {
    if (schema.contains(keyword)) return ReadApplicator(schema, keyword, place);
  }
  return ReadTyped(schema, place);
}

absl::StatusOr<Expression> SchemaReader::ReadReference(const Json& schema, const Place& place) {
  for (const auto& [keyword, unused] : schema.items()) {
    if (keyword != "$ref" && !IsDescribing(keyword)) {
      return place.Wrong(absl::StrCat(absl::CHexEscape(keyword),
                                      " beside $ref cannot be enforced; put it where "
                                      "the $ref leads"));
    }
  }
  const Json& target = schema["$ref"];
  const std::string text = target.is_string() ? target.get<std::string>() : "";
  if (!text.starts_with('#')) {
    return place.Wrong("$ref must point into this schema: \"#/$defs/…\"");
  }
  const std::string pointer = text.substr(1);
  if (Follow(root_, pointer) == nullptr) {
    return place.Wrong("$ref leads to where this schema has no schema");
  }
  auto [known, fresh] = rule_of_reference_.try_emplace(pointer, 0);
  if (fresh) {
    known->second = rules_.Add(text, {});
    unread_.emplace_back(pointer, known->second);
  }
  return Expression::Rule(known->second);
}

absl::StatusOr<Expression> SchemaReader::ReadChoices(const Json& schema, const Place& place) {
  for (const auto& [keyword, unused] : schema.items()) {
    if (keyword != "const" && keyword != "enum" && keyword != "type" && !IsDescribing(keyword)) {
      return place.Wrong(absl::StrCat(absl::CHexEscape(keyword),
                                      " beside const or enum cannot be enforced; leave it out"));
    }
  }
  if (schema.contains("enum") && !schema["enum"].is_array()) {
    return place.Wrong("enum must be a list");
  }
  const Json values = schema.contains("const") ? Json::array({schema["const"]}) : schema["enum"];
  auto types = TypesOf(schema);
  if (!types.ok()) return place.Wrong(StdView(types.status().message()));
  std::vector<Expression> ways;
  for (const Json& value : values) {
    const bool fits = types->empty() ||
                      std::any_of(types->begin(), types->end(),
                                  [&](const std::string& type) { return IsOfType(value, type); });
    if (fits) ways.push_back(Expression::Literal(value.dump()));
  }
  return Expression::Choice(std::move(ways));
}

absl::StatusOr<Expression> SchemaReader::ReadApplicator(const Json& schema,
                                                        const std::string& keyword,
                                                        const Place& place) {
  for (const auto& [other, unused] : schema.items()) {
    // `type` beside it says again what each of the schemas says.
    if (other != keyword && other != "type" && !IsDescribing(other)) {
      return place.Wrong(absl::StrCat(absl::CHexEscape(other), " beside ", keyword,
                                      " cannot be enforced; put it into each of its schemas"));
    }
  }
  const Json& list = schema[keyword];
  const Place inside = place.In(keyword);
  if (!list.is_array() || list.empty()) {
    return inside.Wrong("must be a list of schemas, not empty");
  }
  if (keyword == "allOf" && list.size() > 1) {
    return inside.Wrong("allOf of several schemas cannot be enforced; write them as one");
  }
  std::vector<Expression> ways;
  for (size_t i = 0; i < list.size(); ++i) {
    for (size_t j = 0; keyword == "oneOf" && j < i; ++j) {
      if (AreDisjoint(list[i], list[j])) continue;
      return inside.Wrong(absl::StrCat(
          "schemas ", j, " and ", i,
          " may both hold, which oneOf forbids and no mask can; give "
          "them different types or a required property of different values, or write anyOf"));
    }
    FLOE_ASSIGN_OR_RETURN(ways.emplace_back(), ReadSchema(list[i], inside.In(absl::StrCat(i))));
  }
  return Expression::Choice(std::move(ways));
}

absl::StatusOr<Expression> SchemaReader::ReadTyped(const Json& schema, const Place& place) {
  for (const auto& [keyword, value] : schema.items()) {
    const bool harmless = keyword == "uniqueItems" && value == false;
    if (keyword == "type" || harmless || IsDescribing(keyword) || !TypeOfKeyword(keyword).empty()) {
      continue;
    }
    return place.Wrong(absl::StrCat("the keyword ", absl::CHexEscape(keyword),
                                    " cannot be enforced while the answer is made; leave it out"));
  }
  auto types = TypesOf(schema);
  if (!types.ok()) return place.Wrong(StdView(types.status().message()));
  if (types->empty()) return rules_.Value();
  std::vector<Expression> ways;
  for (const std::string& type : *types) {
    FLOE_ASSIGN_OR_RETURN(ways.emplace_back(), ReadType(schema, type, place));
  }
  return Expression::Choice(std::move(ways));
}

absl::StatusOr<Expression> SchemaReader::ReadType(const Json& schema, std::string_view type,
                                                  const Place& place) {
  if (type == "null") return Expression::Literal("null");
  if (type == "boolean") {
    return Expression::Choice({Expression::Literal("true"), Expression::Literal("false")});
  }
  if (type == "string") return ReadString(schema, place);
  if (type == "array") return ReadArray(schema, place);
  if (type == "object") return ReadObject(schema, place);
  return ReadNumber(schema, type == "integer", place);
}

}  // namespace floe::inference::grammar
