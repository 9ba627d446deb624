// SchemaReader's values: what each type's keywords make of them.
#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "inference/grammar/number_range.h"
#include "inference/grammar/regex.h"
#include "inference/grammar/schema_reader.h"
#include "inference/grammar/schema_words.h"

namespace floe::inference::grammar {
namespace {

// A name in an exclusion takes a level of recursion a character.
constexpr size_t kMaxNameBytes = 256;

Expression Comma(JsonRules& rules, Expression member) {
  return Expression::Sequence({Expression::Literal(","), rules.Space(), std::move(member)});
}

}  // namespace

absl::StatusOr<Expression> SchemaReader::ReadString(const Json& schema, const Place& place) {
  const auto least = CountOf(schema, "minLength"), most = CountOf(schema, "maxLength");
  if (!least.ok()) return place.Wrong(StdView(least.status().message()));
  if (!most.ok()) return place.Wrong(StdView(most.status().message()));
  std::string pattern;
  if (schema.contains("format")) {
    if (!schema["format"].is_string()) return place.In("format").Wrong("must be a string");
    pattern = PatternOfFormat(schema["format"].get<std::string>());
  }
  const bool format = !pattern.empty();
  if (schema.contains("pattern")) {
    if (format) return place.Wrong("pattern beside format cannot be enforced; leave one out");
    if (!schema["pattern"].is_string()) return place.In("pattern").Wrong("must be a string");
    pattern = schema["pattern"].get<std::string>();
  } else if (!format) {
    if (*most && **most < least->value_or(0)) return Expression::Choice({});
    return rules_.String(least->value_or(0), most->value_or(Expression::kUnbounded));
  }
  if (*least || *most) {
    return place.Wrong(
        "minLength and maxLength beside pattern or format cannot be enforced; say the length in "
        "the "
        "pattern");
  }
  const auto content = ParseRegex(pattern, format ? RegexMatch::kWhole : RegexMatch::kSearch);
  if (!content.ok()) return place.In("pattern").Wrong(StdView(content.status().message()));
  return JsonStringOf(*content);
}

absl::StatusOr<Expression> SchemaReader::ReadNumber(const Json& schema, bool integer,
                                                    const Place& place) {
  NumberBounds bounds;
  bool any = false;
  const auto read = [&](const char* keyword, bool least, bool open) -> absl::Status {
    if (!schema.contains(keyword)) return absl::OkStatus();
    const Json& value = schema[keyword];
    if (!value.is_number()) return place.In(keyword).Wrong("must be a number");
    const auto bound = value.get<double>();
    const auto limit = static_cast<double>(integer ? kMaxInteger : kMaxNumberBound);
    if (!(std::abs(bound) <= limit) || (!integer && bound != std::floor(bound))) {
      return place.In(keyword).Wrong(
          absl::StrCat("this bound cannot be enforced; write ", integer ? "a number" : "an integer",
                       " of at most ", integer ? kMaxInteger : kMaxNumberBound));
    }
    any = true;
    auto whole = static_cast<int64_t>(least ? std::ceil(bound) : std::floor(bound));
    if (integer && open && static_cast<double>(whole) == bound) whole += least ? 1 : -1;
    std::optional<int64_t>& known = least ? bounds.least : bounds.most;
    bool& known_open = least ? bounds.above_least : bounds.below_most;
    const bool tighter = !known || (least ? whole > *known : whole < *known);
    if (tighter || whole == *known) {
      known_open = !integer && (open || (!tighter && known_open));
      known = whole;
    }
    return absl::OkStatus();
  };
  FLOE_RETURN_IF_ERROR(read("minimum", true, false));
  FLOE_RETURN_IF_ERROR(read("exclusiveMinimum", true, true));
  FLOE_RETURN_IF_ERROR(read("maximum", false, false));
  FLOE_RETURN_IF_ERROR(read("exclusiveMaximum", false, true));
  if (integer) return IntegerBetween(bounds);
  return any ? NumberBetween(bounds) : rules_.Number();
}

absl::StatusOr<Expression> SchemaReader::ReadArray(const Json& schema, const Place& place) {
  auto least = CountOf(schema, "minItems"), most = CountOf(schema, "maxItems");
  if (!least.ok()) return place.Wrong(StdView(least.status().message()));
  if (!most.ok()) return place.Wrong(StdView(most.status().message()));
  std::vector<Expression> first;
  if (schema.contains("prefixItems")) {
    const Json& list = schema["prefixItems"];
    const Place inside = place.In("prefixItems");
    if (!list.is_array() || list.empty()) {
      return inside.Wrong("must be a list of schemas, not empty");
    }
    for (size_t i = 0; i < list.size(); ++i) {
      FLOE_ASSIGN_OR_RETURN(first.emplace_back(), ReadSchema(list[i], inside.In(absl::StrCat(i))));
    }
  }
  const int fixed = static_cast<int>(first.size());
  if (*most && **most < std::max(fixed, least->value_or(0))) {
    return place.Wrong("maxItems is below minItems or the number of prefixItems");
  }
  const int more = std::max(0, least->value_or(0) - fixed);
  int at_most = *most ? **most - fixed : Expression::kUnbounded;
  Expression item = rules_.Value();
  if (schema.contains("items")) {
    FLOE_ASSIGN_OR_RETURN(item, ReadSchema(schema["items"], place.In("items")));
  } else if (fixed > 0 && more == 0) {
    at_most = 0;
  }
  return rules_.ArrayOf(std::move(first), rules_.Call("item", std::move(item)), more, at_most);
}

absl::StatusOr<std::vector<SchemaReader::Property>> SchemaReader::ReadProperties(
    const Json& schema, const Place& place) {
  std::vector<std::string> required;
  if (schema.contains("required")) {
    for (const Json& name : schema["required"]) {
      if (!name.is_string()) return place.In("required").Wrong("must be a list of names");
      required.push_back(name.get<std::string>());
    }
  }
  std::vector<Property> properties;
  const auto add = [&](const std::string& name, Expression value) {
    const auto listed = std::find(required.begin(), required.end(), name);
    const bool needed = listed != required.end();
    properties.push_back({name, needed, rules_.Call(name, rules_.Member(name, std::move(value)))});
    std::erase(required, name);
  };
  if (schema.contains("properties")) {
    const Json& described = schema["properties"];
    const Place inside = place.In("properties");
    if (!described.is_object()) return inside.Wrong("must be an object of schemas");
    for (const auto& [name, one] : described.items()) {
      FLOE_ASSIGN_OR_RETURN(Expression value, ReadSchema(one, inside.In(name)));
      add(name, std::move(value));
    }
  }
  const Json others = schema.value("additionalProperties", Json(true));
  while (!required.empty()) {
    FLOE_ASSIGN_OR_RETURN(Expression value, ReadSchema(others, place.In("additionalProperties")));
    const std::string name = required.front();
    add(name, std::move(value));
  }
  return properties;
}

absl::StatusOr<Expression> SchemaReader::ReadObject(const Json& schema, const Place& place) {
  FLOE_ASSIGN_OR_RETURN(const std::vector<Property> properties, ReadProperties(schema, place));
  const bool said = schema.contains("additionalProperties");
  if (!said && properties.empty()) return rules_.Object();
  std::optional<Expression> others;
  if (said && schema["additionalProperties"] != false) {
    const Place inside = place.In("additionalProperties");
    FLOE_ASSIGN_OR_RETURN(Expression value, ReadSchema(schema["additionalProperties"], inside));
    std::vector<std::string> names;
    for (const Property& property : properties) {
      if (property.name.size() > kMaxNameBytes) {
        return inside.Wrong(
            absl::StrCat("cannot be enforced beside a property whose name is longer "
                         "than ",
                         kMaxNameBytes, " bytes"));
      }
      names.push_back(property.name);
    }
    others = rules_.Call("another property",
                         Expression::Sequence({JsonStringExcept(names), Expression::Literal(":"),
                                               rules_.Space(), std::move(value)}));
  }
  return Expression::Sequence({Expression::Literal("{"), rules_.Space(),
                               Members(properties, others ? &*others : nullptr), rules_.Space(),
                               Expression::Literal("}")});
}

// From the last property to the first: `more` are the members from here on behind others, `first`
// those that are first themselves.
Expression SchemaReader::Members(const std::vector<Property>& properties,
                                 const Expression* others) {
  Expression more = Expression::Sequence({}), first = Expression::Sequence({});
  if (others != nullptr) {
    more = Expression::Repeat(Comma(rules_, *others), 0, Expression::kUnbounded);
    first = Expression::Optional(Expression::Sequence({*others, more}));
  }
  for (size_t i = properties.size(); i > 0; --i) {
    const Property& property = properties[i - 1];
    const Expression rest = rules_.Call("members", std::move(more));
    const Expression skipped = rules_.Call("members", std::move(first));
    more = Expression::Sequence({Comma(rules_, property.member), rest});
    first = Expression::Sequence({property.member, rest});
    if (property.required) continue;
    more = Expression::Choice({std::move(more), rest});
    first = Expression::Choice({std::move(first), skipped});
  }
  return first;
}

}  // namespace floe::inference::grammar
