// Tests and methods.
#include <algorithm>
#include <optional>
#include <utility>

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

absl::StatusOr<bool> Compare(std::string_view name, const Value& a, const Value& b,
                             Budget& budget) {
  if (name == "in") return Contains(b, a, budget);
  if (name == "divisibleby") {
    FLOE_ASSIGN_OR_RETURN(const int64_t number, IntegerArgument(name, a));
    FLOE_ASSIGN_OR_RETURN(const int64_t divisor, IntegerArgument(name, b));
    if (divisor == 0) return absl::InvalidArgumentError("division by zero");
    return divisor == -1 || number % divisor == 0;
  }
  if (name == "lt" || name == "ge") {
    FLOE_ASSIGN_OR_RETURN(const bool less, Less(a, b, budget));
    return less == (name == "lt");
  }
  if (name == "gt" || name == "le") {
    FLOE_ASSIGN_OR_RETURN(const bool less, Less(b, a, budget));
    return less == (name == "gt");
  }
  FLOE_ASSIGN_OR_RETURN(const bool equal, Equal(a, b, budget));
  return equal == (name != "ne");
}

absl::StatusOr<Value> StripMethod(std::string_view name, const Text& text, const Values& arguments,
                                  Budget& budget) {
  FLOE_RETURN_IF_ERROR(CheckCount(name, arguments.size(), 0, 1));
  std::optional<std::string_view> characters;
  if (!arguments.empty() && !arguments[0].none()) {
    FLOE_ASSIGN_OR_RETURN(const Text* set, TextArgument(name, arguments[0]));
    FLOE_RETURN_IF_ERROR(budget.SpendBytes(text.size() * (1 + set->size() / 16)));
    characters = set->bytes;
  }
  return Value::Of(Strip(text, name != "rstrip", name != "lstrip", characters));
}

absl::StatusOr<Value> SplitMethod(const Text& text, const Values& arguments, Budget& budget) {
  FLOE_RETURN_IF_ERROR(CheckCount("split", arguments.size(), 0, 2));
  std::optional<std::string_view> separator;
  int64_t most = -1;
  if (!arguments.empty() && !arguments[0].none()) {
    FLOE_ASSIGN_OR_RETURN(const Text* given, TextArgument("split", arguments[0]));
    if (given->size() == 0) return absl::InvalidArgumentError("split at an empty text");
    separator = given->bytes;
  }
  if (arguments.size() > 1) {
    FLOE_ASSIGN_OR_RETURN(most, IntegerArgument("split", arguments[1]));
  }
  // Every part is a value of its own, which weighs more than its bytes.
  const size_t parts = separator ? 1 + text.size() / separator->size() : 1 + text.size() / 2;
  FLOE_RETURN_IF_ERROR(budget.Spend(static_cast<int64_t>(parts)));
  FLOE_RETURN_IF_ERROR(
      budget.SpendBytes(text.size() * (1 + (separator ? separator->size() : 0) / 32)));
  Values values;
  for (Text& part : Split(text, separator, most)) values.push_back(Value::Of(std::move(part)));
  return MakeList(std::move(values), budget);
}

absl::StatusOr<Value> Affix(std::string_view name, const Text& text, const Values& arguments,
                            Budget& budget) {
  FLOE_RETURN_IF_ERROR(CheckCount(name, arguments.size(), 1, 1));
  Values any = {arguments[0]};
  if (const List* list = arguments[0].list(); list != nullptr && list->tuple) any = list->items;
  for (const Value& one : any) {
    FLOE_ASSIGN_OR_RETURN(const Text* affix, TextArgument(name, one));
    FLOE_RETURN_IF_ERROR(budget.SpendBytes(affix->size()));
    if (name == "startswith" ? text.bytes.starts_with(affix->bytes)
                             : text.bytes.ends_with(affix->bytes)) {
      return Value::Of(true);
    }
  }
  return Value::Of(false);
}

absl::StatusOr<Value> TextMethod(std::string_view name, const Text& text, const Values& arguments,
                                 Budget& budget) {
  FLOE_RETURN_IF_ERROR(budget.SpendBytes(text.size()));
  if (name.ends_with("strip")) return StripMethod(name, text, arguments, budget);
  if (name.ends_with("with")) return Affix(name, text, arguments, budget);
  if (name == "split") return SplitMethod(text, arguments, budget);
  if (name == "replace") {
    FLOE_RETURN_IF_ERROR(CheckCount(name, arguments.size(), 2, 2));
    return ReplaceIn(text, arguments[0], arguments[1], budget);
  }
  if (const auto wanted = CaseOf(name)) {
    FLOE_RETURN_IF_ERROR(CheckCount(name, arguments.size(), 0, 0));
    FLOE_ASSIGN_OR_RETURN(Text cased, ToCase(text, *wanted));
    return Value::Of(std::move(cased));
  }
  return WrongKind(name, Value::Of("", Origin::kData));
}

absl::StatusOr<Value> MapMethod(std::string_view name, const Value& operand,
                                const Values& arguments, Budget& budget) {
  if (name == "get") {
    FLOE_RETURN_IF_ERROR(CheckCount(name, arguments.size(), 1, 2));
    FLOE_RETURN_IF_ERROR(budget.Spend(static_cast<int64_t>(operand.map()->entries.size())));
    const Text* key = arguments[0].text();
    const Value* found = key == nullptr ? nullptr : operand.map()->Find(key->bytes);
    if (found != nullptr) return *found;
    return arguments.size() > 1 ? arguments[1] : Value(None());
  }
  FLOE_RETURN_IF_ERROR(CheckCount(name, arguments.size(), 0, 0));
  if (name == "items") return Items(operand, budget);
  Values values;
  for (const auto& [key, value] : operand.map()->entries) {
    FLOE_RETURN_IF_ERROR(budget.SpendBytes(key.size()));
    if (name == "keys") values.push_back(Value::Of(key));
    if (name == "values") values.push_back(value);
  }
  if (name != "keys" && name != "values") return WrongKind(name, operand);
  return MakeList(std::move(values), budget);
}

}  // namespace

absl::StatusOr<bool> ApplyTest(std::string_view name, const Value& operand,
                               const std::vector<Value>& arguments, Budget& budget) {
  FLOE_RETURN_IF_ERROR(budget.Spend(1));
  constexpr std::string_view kBinary[] = {"divisibleby", "eq", "equalto", "ge", "gt",
                                          "in",          "le", "lt",      "ne"};
  if (Has(std::vector<std::string_view>(std::begin(kBinary), std::end(kBinary)), name)) {
    FLOE_RETURN_IF_ERROR(CheckCount(name, arguments.size(), 1, 1));
    return Compare(name, operand, arguments[0], budget);
  }
  FLOE_RETURN_IF_ERROR(CheckCount(name, arguments.size(), 0, 0));
  const bool sequence = operand.text() || operand.list() || operand.map();
  const auto* boolean = operand.As<bool>();
  if (name == "defined") return !operand.undefined();
  if (name == "undefined") return operand.undefined();
  if (name == "none") return operand.none();
  if (name == "string") return operand.text() != nullptr;
  if (name == "mapping") return operand.map() != nullptr;
  if (name == "sequence" || name == "iterable") return sequence || operand.undefined();
  if (name == "number") return operand.number();
  if (name == "integer") return operand.As<int64_t>() != nullptr;
  if (name == "float") return operand.As<double>() != nullptr;
  if (name == "boolean") return boolean != nullptr;
  if (name == "true") return boolean != nullptr && *boolean;
  if (name == "false") return boolean != nullptr && !*boolean;
  FLOE_ASSIGN_OR_RETURN(const int64_t number, IntegerArgument(name, operand));
  return (number % 2 != 0) == (name == "odd");
}

absl::StatusOr<Value> CallMethod(std::string_view name, const Value& operand,
                                 const std::vector<Value>& arguments, Budget& budget) {
  FLOE_RETURN_IF_ERROR(budget.Spend(1));
  if (operand.text() != nullptr) return TextMethod(name, *operand.text(), arguments, budget);
  if (operand.map() != nullptr) return MapMethod(name, operand, arguments, budget);
  return WrongKind(name, operand);
}

absl::StatusOr<Value> Attribute(const Value& operand, std::string_view name) {
  FLOE_RETURN_IF_ERROR(CheckDefined(operand));
  if ((operand.map() != nullptr && Has(kPythonMapNames, name)) ||
      (operand.text() != nullptr && Has(kPythonTextNames, name)) || operand.number() ||
      operand.list() != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("attribute '", AbslView(name), "' of ",
                                                   AbslView(KindOf(operand)), " is not supported"));
  }
  if (const Map* map = operand.map()) {
    const Value* found = map->Find(name);
    return found == nullptr ? Value(Undefined{name}) : *found;
  }
  if (const auto* space = operand.As<std::shared_ptr<Namespace>>()) {
    const auto found = (*space)->attributes.find(name);
    return found == (*space)->attributes.end() ? Value(Undefined{name}) : found->second;
  }
  const auto* held = operand.As<std::shared_ptr<const Loop>>();
  if (held == nullptr) return Value(Undefined{name});
  const Loop& loop = **held;
  const auto length = static_cast<int64_t>(loop.items->items.size());
  const auto neighbour = [&](int64_t index) {
    return index < 0 || index >= length ? Value(Undefined{name})
                                        : loop.items->items[static_cast<size_t>(index)];
  };
  if (name == "index0") return Value::Of(loop.index0);
  if (name == "index") return Value::Of(loop.index0 + 1);
  if (name == "revindex") return Value::Of(length - loop.index0);
  if (name == "revindex0") return Value::Of(length - loop.index0 - 1);
  if (name == "length") return Value::Of(length);
  if (name == "first") return Value::Of(loop.index0 == 0);
  if (name == "last") return Value::Of(loop.index0 + 1 == length);
  if (name == "previtem") return neighbour(loop.index0 - 1);
  if (name == "nextitem") return neighbour(loop.index0 + 1);
  return Value(Undefined{name});
}

}  // namespace floe::tokenizer::jinja
