// Functions and macros: a part of the interpreter.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/jinja/interpreter.h"

namespace floe::tokenizer::jinja {

absl::StatusOr<Value> Interpreter::Call(const Expression& expression) {
  FLOE_ASSIGN_OR_RETURN(const Value callee, Variable(expression.name));
  FLOE_ASSIGN_OR_RETURN(const Arguments arguments, ArgumentsOf(expression, 0));
  FLOE_RETURN_IF_ERROR(CheckDefined(callee));
  const auto* macro = callee.As<Macro>();
  if (macro != nullptr && macro->statement != nullptr) {
    return CallMacro(*macro->statement, arguments);
  }
  if (macro == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("'", expression.name, "' cannot be called"));
  }
  if (expression.name == "range") return Range(arguments);
  if (expression.name == "strftime_now") return Now(arguments);
  if (expression.name == "namespace") {
    auto space = std::make_shared<Namespace>();
    for (const auto& [name, value] : arguments.named) {
      if (value.As<std::shared_ptr<Namespace>>() != nullptr) {
        return absl::InvalidArgumentError("a namespace cannot be kept inside another one");
      }
      space->attributes.insert_or_assign(name, value);
    }
    if (!arguments.values.empty()) {
      return absl::InvalidArgumentError("namespace takes arguments with names alone");
    }
    return Value(std::move(space));
  }
  std::string message = "without a message";  // raise_exception
  if (!arguments.values.empty()) {
    FLOE_ASSIGN_OR_RETURN(const Text text, ToText(arguments.values[0]));
    message = text.bytes.substr(0, 1000);
  }
  return absl::InvalidArgumentError(absl::StrCat("it refuses these messages: ", message));
}

absl::StatusOr<Value> Interpreter::Range(const Arguments& arguments) {
  const size_t count = arguments.values.size();
  if (count < 1 || count > 3) return absl::InvalidArgumentError("range takes 1 to 3 integers");
  int64_t numbers[3] = {0, 0, 1};
  for (size_t i = 0; i < count; ++i) {
    const auto number = IntegerOf(arguments.values[i]);
    if (!number) return absl::InvalidArgumentError("range takes integers");
    numbers[count == 1 ? 1 : i] = *number;
  }
  const auto [start, stop, step] = numbers;
  if (step == 0) return absl::InvalidArgumentError("the step of range is 0");
  std::vector<Value> items;
  for (int64_t at = start; step > 0 ? at < stop : at > stop;) {
    FLOE_RETURN_IF_ERROR(budget_.Spend(1));
    items.push_back(Value::Of(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return MakeList(std::move(items), budget_);
}

absl::StatusOr<Value> Interpreter::Now(const Arguments& arguments) const {
  const Text* format = arguments.values.size() == 1 ? arguments.values[0].text() : nullptr;
  if (format == nullptr) return absl::InvalidArgumentError("strftime_now takes a format");
  constexpr std::string_view kKnown = "aAbBdHIjmMpSyY%";
  for (size_t i = 0; i < format->size(); ++i) {
    if (format->bytes[i] != '%') continue;
    if (++i == format->size() || kKnown.find(format->bytes[i]) == std::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("strftime_now supports % with one of ",
                                                     AbslView(kKnown), ", not \"", format->bytes,
                                                     "\""));
    }
  }
  return Value::Of(absl::FormatTime(format->bytes, *now_, absl::UTCTimeZone()), Origin::kData);
}

absl::StatusOr<Value> Interpreter::CallMacro(const Statement& macro, const Arguments& arguments) {
  const size_t count = macro.targets.size();
  const size_t required = count - macro.defaults.size();
  if (arguments.values.size() > count) {
    return absl::InvalidArgumentError(
        absl::StrCat("the macro '", macro.attribute, "' takes ", count, " arguments"));
  }
  for (const auto& [name, unused] : arguments.named) {
    if (std::find(macro.targets.begin(), macro.targets.end(), name) == macro.targets.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the macro '", macro.attribute, "' has no argument '", name, "'"));
    }
  }
  Scope inner{&globals_, {}};
  Scope* const outer = std::exchange(scope_, &inner);
  absl::StatusOr<Text> text = Text();
  for (size_t i = 0; i < count && text.ok(); ++i) {
    const Value* given = arguments.Find(i, macro.targets[i]);
    absl::StatusOr<Value> value = Value(Undefined{macro.targets[i]});
    if (given != nullptr) {
      value = *given;
    } else if (i >= required) {
      value = Evaluate(*macro.defaults[i - required]);
    }
    if (!value.ok())
      text = value.status();
    else
      inner.names.insert_or_assign(macro.targets[i], *std::move(value));
  }
  if (text.ok()) text = Capture(macro.body);
  scope_ = outer;
  if (!text.ok()) return text.status();
  return Value::Of(*std::move(text));
}

}  // namespace floe::tokenizer::jinja
