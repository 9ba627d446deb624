#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/jinja/argument_checks.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/names.h"
#include "tokenizer/jinja/python_text.h"

namespace floe::tokenizer::jinja {
namespace {

using Values = std::vector<Value>;

absl::StatusOr<Value> Length(const Value& operand) {
  const auto of = [](size_t size) { return Value::Of(static_cast<int64_t>(size)); };
  if (operand.undefined()) return of(0);
  if (operand.text() != nullptr) return of(CharacterBounds(operand.text()->bytes).size() - 1);
  if (operand.list() != nullptr) return of(operand.list()->items.size());
  if (operand.map() != nullptr) return of(operand.map()->entries.size());
  return WrongKind("length", operand);
}

absl::StatusOr<Value> Join(const Value& operand, const Arguments& arguments, Budget& budget) {
  FLOE_ASSIGN_OR_RETURN(const Values elements, Elements(operand, budget));
  Text separator;
  if (const Value* given = arguments.Find(0, "d")) {
    FLOE_ASSIGN_OR_RETURN(separator, ToText(*given));
  }
  Text all;
  for (size_t i = 0; i < elements.size(); ++i) {
    FLOE_ASSIGN_OR_RETURN(const Text text, ToText(elements[i]));
    FLOE_RETURN_IF_ERROR(budget.SpendBytes(text.size() + separator.size()));
    if (i > 0) all.Append(separator);
    all.Append(text);
  }
  return Value::Of(std::move(all));
}

absl::StatusOr<Value> ToInteger(const Value& operand, const Arguments& arguments) {
  const Value* fallback = arguments.Find(0, "default");
  double real = 0;
  if (const auto* held = operand.As<int64_t>()) return Value::Of(*held);
  if (operand.number()) {
    real = AsDouble(operand);
  } else if (operand.text() != nullptr) {
    int64_t integer = 0;
    const Text trimmed = Strip(*operand.text(), true, true, std::nullopt);
    if (absl::SimpleAtoi(trimmed.bytes, &integer)) return Value::Of(integer);
    if (!absl::SimpleAtod(trimmed.bytes, &real)) real = NAN;
  } else {
    real = NAN;
  }
  if (std::isfinite(real) && std::fabs(real) < 9e18) {
    return Value::Of(static_cast<int64_t>(real));
  }
  return fallback != nullptr ? *fallback : Value::Of(int64_t{0});
}

absl::StatusOr<Value> Reversed(const Value& operand, Budget& budget) {
  FLOE_ASSIGN_OR_RETURN(Values elements, Elements(operand, budget));
  std::reverse(elements.begin(), elements.end());
  if (operand.text() == nullptr) return MakeList(std::move(elements), budget);
  Text text;
  for (const Value& element : elements) text.Append(*element.text());
  return Value::Of(std::move(text));
}

// select, reject, selectattr and rejectattr.
absl::StatusOr<Value> Filtered(std::string_view name, const Value& operand,
                               const Arguments& arguments, Budget& budget) {
  const bool by_attribute = name.ends_with("attr");
  const bool keep = name.starts_with("select");
  FLOE_ASSIGN_OR_RETURN(const Values elements, Elements(operand, budget));
  Values rest = arguments.values;
  const auto take = [&]() -> absl::StatusOr<std::string> {
    FLOE_RETURN_IF_ERROR(CheckCount(name, rest.size(), 1, 3));
    FLOE_ASSIGN_OR_RETURN(const Text* text, TextArgument(name, rest[0]));
    std::string taken = text->bytes;
    rest.erase(rest.begin());
    return taken;
  };
  std::string attribute, test;
  if (by_attribute) {
    FLOE_ASSIGN_OR_RETURN(attribute, take());
  }
  if (!rest.empty()) {
    FLOE_ASSIGN_OR_RETURN(test, take());
  }
  if (!test.empty() && !Has(kTestNames, test)) {
    return absl::InvalidArgumentError(absl::StrCat("test '", test, "' is not supported"));
  }
  Values kept;
  for (const Value& element : elements) {
    Value looked_at = element;
    if (by_attribute) {
      FLOE_ASSIGN_OR_RETURN(looked_at, Attribute(element, attribute));
    }
    bool passes = Truth(looked_at);
    if (!test.empty()) {
      FLOE_ASSIGN_OR_RETURN(passes, ApplyTest(test, looked_at, rest, budget));
    }
    if (passes == keep) kept.push_back(element);
  }
  return MakeList(std::move(kept), budget);
}

absl::StatusOr<Value> Mapped(const Value& operand, const Arguments& arguments, Budget& budget) {
  FLOE_ASSIGN_OR_RETURN(Values elements, Elements(operand, budget));
  const Value* attribute = arguments.Find(99, "attribute");
  const Value* filter = attribute == nullptr ? arguments.Find(0, "") : nullptr;
  if (attribute == nullptr && filter == nullptr) {
    return absl::InvalidArgumentError("'map' needs an attribute or the name of a filter");
  }
  FLOE_ASSIGN_OR_RETURN(const Text* name, TextArgument("map", attribute ? *attribute : *filter));
  if (filter != nullptr && (!Has(kFilterNames, name->bytes) || name->bytes == "map")) {
    return absl::InvalidArgumentError(absl::StrCat("filter '", name->bytes, "' is not supported"));
  }
  Arguments rest;
  if (filter != nullptr) rest.values.assign(arguments.values.begin() + 1, arguments.values.end());
  for (Value& element : elements) {
    FLOE_RETURN_IF_ERROR(budget.Spend(1));
    if (attribute != nullptr) {
      FLOE_ASSIGN_OR_RETURN(element, Attribute(element, name->bytes));
      if (element.undefined()) element = Value(Undefined{});  // its name was a view of a value
    } else {
      FLOE_ASSIGN_OR_RETURN(element, ApplyFilter(name->bytes, element, rest, budget));
    }
  }
  return MakeList(std::move(elements), budget);
}

absl::StatusOr<Value> Json(const Value& operand, const Arguments& arguments, Budget& budget) {
  int64_t indent = -1;
  for (const auto& [name, value] : arguments.named) {
    if (name == "ensure_ascii" && !Truth(value)) continue;
    if (name != "indent") {
      return absl::InvalidArgumentError(
          absl::StrCat("argument '", name, "' of tojson is not supported"));
    }
  }
  if (const Value* given = arguments.Find(0, "indent"); given != nullptr && !given->none()) {
    FLOE_ASSIGN_OR_RETURN(indent, IntegerArgument("tojson", *given));
  }
  FLOE_RETURN_IF_ERROR(CheckDefined(operand));
  FLOE_ASSIGN_OR_RETURN(const std::string json, ToJson(operand, indent, budget));
  return Value::Of(json, Origin::kData);
}

absl::StatusOr<Value> Default(const Value& operand, const Arguments& arguments) {
  const Value* fallback = arguments.Find(0, "default_value");
  const Value* boolean = arguments.Find(1, "boolean");
  const bool falls =
      operand.undefined() || (boolean != nullptr && Truth(*boolean) && !Truth(operand));
  if (!falls) return operand;
  return fallback == nullptr ? Value::Of("", Origin::kTemplate) : *fallback;
}

absl::StatusOr<Value> TextFilter(std::string_view name, const Value& operand,
                                 const Arguments& arguments, Budget& budget) {
  FLOE_ASSIGN_OR_RETURN(const Text text, ToText(operand));
  FLOE_RETURN_IF_ERROR(budget.SpendBytes(text.size()));
  if (const auto wanted = CaseOf(name)) {
    FLOE_ASSIGN_OR_RETURN(Text cased, ToCase(text, *wanted));
    return Value::Of(std::move(cased));
  }
  if (name == "string") return Value::Of(text);
  if (name == "replace") {
    FLOE_RETURN_IF_ERROR(CheckCount(name, arguments.values.size(), 2, 2));
    return ReplaceIn(text, arguments.values[0], arguments.values[1], budget);
  }
  const Value* characters = arguments.Find(0, "chars");  // trim
  if (characters == nullptr || characters->none()) {
    return Value::Of(Strip(text, true, true, std::nullopt));
  }
  FLOE_ASSIGN_OR_RETURN(const Text* set, TextArgument(name, *characters));
  FLOE_RETURN_IF_ERROR(budget.SpendBytes(text.size() * (1 + set->size() / 16)));
  return Value::Of(Strip(text, true, true, set->bytes));
}

}  // namespace

const Value* Arguments::Find(size_t index, std::string_view name) const {
  if (index < values.size()) return &values[index];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

absl::StatusOr<Value> ApplyFilter(std::string_view name, const Value& operand,
                                  const Arguments& arguments, Budget& budget) {
  FLOE_RETURN_IF_ERROR(budget.Spend(1));
  if (name == "default" || name == "d") return Default(operand, arguments);
  if (name == "length" || name == "count") {
    if (operand.text()) FLOE_RETURN_IF_ERROR(budget.SpendBytes(operand.text()->size() * 4));
    return Length(operand);
  }
  if (name == "tojson") return Json(operand, arguments, budget);
  if (name == "join") return Join(operand, arguments, budget);
  if (name == "items") return Items(operand, budget);
  if (name == "int") return ToInteger(operand, arguments);
  if (name == "reverse") return Reversed(operand, budget);
  if (name == "map") return Mapped(operand, arguments, budget);
  if (name.starts_with("select") || name.starts_with("reject")) {
    return Filtered(name, operand, arguments, budget);
  }
  if (name == "list" || name == "first" || name == "last") {
    FLOE_ASSIGN_OR_RETURN(Values elements, Elements(operand, budget));
    if (name == "list") return MakeList(std::move(elements), budget);
    if (elements.empty()) return Value(Undefined{});
    return name == "first" ? elements.front() : elements.back();
  }
  return TextFilter(name, operand, arguments, budget);
}

}  // namespace floe::tokenizer::jinja
