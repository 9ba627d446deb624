// What expressions are: the other half of the interpreter.
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/names.h"
#include "tokenizer/jinja/python_text.h"

namespace floe::tokenizer::jinja {
namespace {

using Kind = ExpressionKind;

absl::Status TooLarge() {
  return absl::InvalidArgumentError("a number beyond 64 bits is not supported");
}

absl::Status NoOperation(std::string_view name, const Value& a, const Value& b) {
  FLOE_RETURN_IF_ERROR(CheckDefined(a));
  FLOE_RETURN_IF_ERROR(CheckDefined(b));
  return absl::InvalidArgumentError(absl::StrCat("'", AbslView(name), "' does not work on ",
                                                 AbslView(KindOf(a)), " and ",
                                                 AbslView(KindOf(b))));
}

// Python's // and %, which round towards minus infinity.
absl::StatusOr<Value> Divide(std::string_view name, const Value& a, const Value& b) {
  const auto x = IntegerOf(a), y = IntegerOf(b);
  if (!a.number() || !b.number()) return NoOperation(name, a, b);
  if (AsDouble(b) == 0) return absl::InvalidArgumentError("division by zero");
  if (name == "/") return Value(AsDouble(a) / AsDouble(b));
  if (!x || !y) return absl::InvalidArgumentError("// and % of floats are not supported");
  if (*y == -1) {
    if (name == "%") return Value::Of(int64_t{0});
    int64_t negated = 0;
    if (__builtin_sub_overflow(int64_t{0}, *x, &negated)) return TooLarge();
    return Value::Of(negated);
  }
  int64_t quotient = *x / *y, rest = *x % *y;
  if (rest != 0 && (rest < 0) != (*y < 0)) {
    --quotient;
    rest += *y;
  }
  return Value::Of(name == "%" ? rest : quotient);
}

}  // namespace

absl::StatusOr<Value> Interpreter::Evaluate(const Expression& expression) {
  ++level_;
  absl::Status status = budget_.Spend(1);
  if (level_ > kMaxNesting) status = TooDeep();
  absl::StatusOr<Value> value = status.ok() ? Compute(expression) : absl::StatusOr<Value>(status);
  --level_;
  if (!value.ok() && error_line_ == 0) error_line_ = expression.line;
  return value;
}

absl::StatusOr<Value> Interpreter::Compute(const Expression& expression) {
  switch (expression.kind) {
    case Kind::kLiteral:
      return expression.literal;
    case Kind::kName:
      return Variable(expression.name);
    case Kind::kList:
    case Kind::kTuple: {
      FLOE_ASSIGN_OR_RETURN(std::vector<Value> items, Operands(expression, 0));
      return MakeList(std::move(items), budget_, expression.kind == Kind::kTuple);
    }
    case Kind::kMap:
      return MapOf(expression);
    case Kind::kAttribute: {
      FLOE_ASSIGN_OR_RETURN(const Value operand, Evaluate(*expression.operands[0]));
      return Attribute(operand, expression.name);
    }
    case Kind::kSubscript:
      return Subscript(expression);
    case Kind::kSlice:
      return Slice(expression);
    case Kind::kFunction:
      return Call(expression);
    case Kind::kMethod: {
      FLOE_ASSIGN_OR_RETURN(const Value operand, Evaluate(*expression.operands[0]));
      FLOE_ASSIGN_OR_RETURN(const std::vector<Value> arguments, Operands(expression, 1));
      return CallMethod(expression.name, operand, arguments, budget_);
    }
    case Kind::kFilter: {
      FLOE_ASSIGN_OR_RETURN(const Value operand, Evaluate(*expression.operands[0]));
      FLOE_ASSIGN_OR_RETURN(const Arguments arguments, ArgumentsOf(expression, 1));
      return ApplyFilter(expression.name, operand, arguments, budget_);
    }
    case Kind::kTest: {
      FLOE_ASSIGN_OR_RETURN(const Value operand, Evaluate(*expression.operands[0]));
      FLOE_ASSIGN_OR_RETURN(const std::vector<Value> arguments, Operands(expression, 1));
      FLOE_ASSIGN_OR_RETURN(const bool passes,
                            ApplyTest(expression.name, operand, arguments, budget_));
      return Value::Of(passes);
    }
    case Kind::kUnary:
      return Unary(expression);
    case Kind::kBinary:
      return Binary(expression);
    case Kind::kComparison:
      return Comparison(expression);
    case Kind::kConcat:
      return Concat(expression);
    case Kind::kCondition: {
      FLOE_ASSIGN_OR_RETURN(const Value condition, Evaluate(*expression.operands[0]));
      if (Truth(condition)) return Evaluate(*expression.operands[1]);
      if (expression.operands[2] == nullptr) return Value(Undefined{});
      return Evaluate(*expression.operands[2]);
    }
  }
  return absl::InternalError("an expression of no kind");
}

absl::StatusOr<Value> Interpreter::Variable(const std::string& name) const {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->outer) {
    const auto found = scope->names.find(name);
    if (found != scope->names.end()) return found->second;
  }
  if (name == "strftime_now" && !now_) return Value(Undefined{name});
  return Has(kFunctionNames, name) ? Value(Macro{nullptr}) : Value(Undefined{name});
}

absl::StatusOr<std::vector<Value>> Interpreter::Operands(const Expression& expression,
                                                         size_t from) {
  std::vector<Value> values;
  for (size_t i = from; i < expression.operands.size(); ++i) {
    FLOE_ASSIGN_OR_RETURN(Value value, Evaluate(*expression.operands[i]));
    values.push_back(std::move(value));
  }
  return values;
}

absl::StatusOr<Arguments> Interpreter::ArgumentsOf(const Expression& expression, size_t from) {
  Arguments arguments;
  FLOE_ASSIGN_OR_RETURN(arguments.values, Operands(expression, from));
  for (const auto& [name, operand] : expression.named) {
    FLOE_ASSIGN_OR_RETURN(Value value, Evaluate(*operand));
    arguments.named.emplace_back(name, std::move(value));
  }
  return arguments;
}

absl::StatusOr<Value> Interpreter::MapOf(const Expression& expression) {
  FLOE_ASSIGN_OR_RETURN(const std::vector<Value> values, Operands(expression, 0));
  std::vector<std::pair<Text, Value>> entries;
  for (size_t i = 0; i + 1 < values.size(); i += 2) {
    const Text* key = values[i].text();
    if (key == nullptr)
      return absl::InvalidArgumentError("a key of a mapping that is no text is not supported");
    const auto same = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
      return entry.first.bytes == key->bytes;
    });
    FLOE_RETURN_IF_ERROR(budget_.Spend(static_cast<int64_t>(entries.size())));
    if (same != entries.end())
      same->second = values[i + 1];
    else
      entries.emplace_back(*key, values[i + 1]);
  }
  return MakeMap(std::move(entries), budget_);
}

absl::StatusOr<Value> Interpreter::Add(const Value& a, const Value& b) {
  if (a.text() != nullptr && b.text() != nullptr) {
    FLOE_RETURN_IF_ERROR(budget_.SpendBytes(a.text()->size() + b.text()->size()));
    Text text = *a.text();
    text.Append(*b.text());
    return Value::Of(std::move(text));
  }
  if (a.list() != nullptr && b.list() != nullptr && a.list()->tuple == b.list()->tuple) {
    FLOE_RETURN_IF_ERROR(
        budget_.Spend(static_cast<int64_t>(a.list()->items.size() + b.list()->items.size())));
    std::vector<Value> items = a.list()->items;
    items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
    return MakeList(std::move(items), budget_, a.list()->tuple);
  }
  const auto x = IntegerOf(a), y = IntegerOf(b);
  int64_t sum = 0;
  if (x && y) {
    if (__builtin_add_overflow(*x, *y, &sum)) return TooLarge();
    return Value::Of(sum);
  }
  if (a.number() && b.number()) return Value(AsDouble(a) + AsDouble(b));
  return NoOperation("+", a, b);
}

absl::StatusOr<Value> Interpreter::Multiply(const Value& a, const Value& b) {
  const auto x = IntegerOf(a), y = IntegerOf(b);
  if ((a.text() != nullptr && y) || (b.text() != nullptr && x)) {
    const Text& part = a.text() != nullptr ? *a.text() : *b.text();
    const int64_t times = std::max<int64_t>(0, y && a.text() != nullptr ? *y : *x);
    int64_t bytes = 0;
    if (__builtin_mul_overflow(times, static_cast<int64_t>(part.size()) + 1, &bytes)) {
      return TooLarge();
    }
    FLOE_RETURN_IF_ERROR(budget_.SpendBytes(static_cast<size_t>(bytes)));
    Text text;
    for (int64_t i = 0; i < times; ++i) text.Append(part);
    return Value::Of(std::move(text));
  }
  int64_t product = 0;
  if (x && y) {
    if (__builtin_mul_overflow(*x, *y, &product)) return TooLarge();
    return Value::Of(product);
  }
  if (a.number() && b.number()) return Value(AsDouble(a) * AsDouble(b));
  return NoOperation("*", a, b);
}

absl::StatusOr<Value> Interpreter::Binary(const Expression& expression) {
  const std::string& name = expression.name;
  FLOE_ASSIGN_OR_RETURN(Value left, Evaluate(*expression.operands[0]));
  if (name == "and" || name == "or") {
    return Truth(left) == (name == "or") ? left : Evaluate(*expression.operands[1]);
  }
  FLOE_ASSIGN_OR_RETURN(const Value right, Evaluate(*expression.operands[1]));
  if (name == "+") return Add(left, right);
  if (name == "*") return Multiply(left, right);
  if (name != "-") return Divide(name, left, right);
  const auto x = IntegerOf(left), y = IntegerOf(right);
  int64_t difference = 0;
  if (x && y) {
    if (__builtin_sub_overflow(*x, *y, &difference)) return TooLarge();
    return Value::Of(difference);
  }
  if (left.number() && right.number()) return Value(AsDouble(left) - AsDouble(right));
  return NoOperation(name, left, right);
}

absl::StatusOr<Value> Interpreter::Unary(const Expression& expression) {
  FLOE_ASSIGN_OR_RETURN(const Value operand, Evaluate(*expression.operands[0]));
  if (expression.name == "not") return Value::Of(!Truth(operand));
  if (!operand.number()) return NoOperation(expression.name, operand, operand);
  if (expression.name == "+") return operand;
  if (const auto integer = IntegerOf(operand)) {
    int64_t negated = 0;
    if (__builtin_sub_overflow(int64_t{0}, *integer, &negated)) return TooLarge();
    return Value::Of(negated);
  }
  return Value(-AsDouble(operand));
}

// a < b < c: each operand is evaluated once, and none behind the first that fails.
absl::StatusOr<Value> Interpreter::Comparison(const Expression& expression) {
  FLOE_ASSIGN_OR_RETURN(Value left, Evaluate(*expression.operands[0]));
  for (size_t i = 0; i < expression.names.size(); ++i) {
    const std::string& name = expression.names[i];
    FLOE_ASSIGN_OR_RETURN(Value right, Evaluate(*expression.operands[i + 1]));
    absl::StatusOr<bool> found = false;
    bool wanted = true;
    if (name == "==" || name == "!=") {
      found = Equal(left, right, budget_);
      wanted = name == "==";
    } else if (name == "in" || name == "not in") {
      found = Contains(right, left, budget_);
      wanted = name == "in";
    } else {
      found = name[0] == '<' && name.size() == 1   ? Less(left, right, budget_)
              : name[0] == '>' && name.size() == 1 ? Less(right, left, budget_)
              : name[0] == '<'                     ? Less(right, left, budget_)
                                                   : Less(left, right, budget_);
      wanted = name.size() == 1;
    }
    FLOE_RETURN_IF_ERROR(found.status());
    if (*found != wanted) return Value::Of(false);
    left = std::move(right);
  }
  return Value::Of(true);
}

absl::StatusOr<Value> Interpreter::Concat(const Expression& expression) {
  Text all;
  for (const ExpressionPtr& operand : expression.operands) {
    FLOE_ASSIGN_OR_RETURN(const Value value, Evaluate(*operand));
    FLOE_ASSIGN_OR_RETURN(const Text text, ToText(value));
    FLOE_RETURN_IF_ERROR(budget_.SpendBytes(text.size()));
    all.Append(text);
  }
  return Value::Of(std::move(all));
}

absl::StatusOr<Value> Interpreter::Subscript(const Expression& expression) {
  FLOE_ASSIGN_OR_RETURN(const Value operand, Evaluate(*expression.operands[0]));
  FLOE_ASSIGN_OR_RETURN(const Value index, Evaluate(*expression.operands[1]));
  FLOE_RETURN_IF_ERROR(CheckDefined(operand));
  if (const Text* key = index.text()) {
    if (operand.map() != nullptr) {
      FLOE_RETURN_IF_ERROR(budget_.Spend(static_cast<int64_t>(operand.map()->entries.size())));
    }
    const Value* element = operand.map() == nullptr ? nullptr : operand.map()->Find(key->bytes);
    if (element != nullptr) return *element;
    FLOE_ASSIGN_OR_RETURN(Value found, Attribute(operand, key->bytes));
    // Its name would be a view of a value.
    return found.undefined() ? Value(Undefined{}) : found;
  }
  const auto at = IntegerOf(index);
  const List* list = operand.list();
  const Text* text = operand.text();
  if (!at || (list == nullptr && text == nullptr)) return Value(Undefined{});
  std::vector<size_t> bounds;
  if (text != nullptr) {
    FLOE_RETURN_IF_ERROR(budget_.SpendBytes(text->size() * 8));
    bounds = CharacterBounds(text->bytes);
  }
  const auto size = static_cast<int64_t>(text != nullptr ? bounds.size() - 1 : list->items.size());
  const int64_t place = *at < 0 ? *at + size : *at;
  if (place < 0 || place >= size) return Value(Undefined{});
  const auto i = static_cast<size_t>(place);
  if (list != nullptr) return list->items[i];
  return Value::Of(text->Slice(bounds[i], bounds[i + 1] - bounds[i]));
}

absl::StatusOr<Value> Interpreter::Slice(const Expression& expression) {
  FLOE_ASSIGN_OR_RETURN(const Value operand, Evaluate(*expression.operands[0]));
  std::optional<int64_t> parts[3];
  for (size_t i = 0; i < 3; ++i) {
    if (expression.operands[i + 1] == nullptr) continue;
    FLOE_ASSIGN_OR_RETURN(const Value part, Evaluate(*expression.operands[i + 1]));
    if (part.none()) continue;
    parts[i] = IntegerOf(part);
    if (!parts[i]) return absl::InvalidArgumentError("a slice is made of integers");
  }
  const int64_t step = parts[2].value_or(1);
  if (step == 0) return absl::InvalidArgumentError("the step of a slice is 0");
  if (const List* list = operand.list()) {
    const SliceRange range =
        ResolveSlice(parts[0], parts[1], step, static_cast<int64_t>(list->items.size()));
    FLOE_RETURN_IF_ERROR(budget_.Spend(range.count));
    std::vector<Value> items;
    for (int64_t i = 0, at = range.start; i < range.count; ++i, at += range.step) {
      items.push_back(list->items[static_cast<size_t>(at)]);
      if (i + 1 == range.count) break;
    }
    return MakeList(std::move(items), budget_, list->tuple);
  }
  const Text* text = operand.text();
  if (text == nullptr) return NoOperation("[:]", operand, operand);
  FLOE_RETURN_IF_ERROR(budget_.SpendBytes(text->size() * 8));
  const std::vector<size_t> bounds = CharacterBounds(text->bytes);
  const SliceRange range =
      ResolveSlice(parts[0], parts[1], step, static_cast<int64_t>(bounds.size()) - 1);
  if (range.count == 0) return Value::Of(Text());
  if (step == 1) {
    const auto first = static_cast<size_t>(range.start);
    const size_t begin = bounds[first], end = bounds[first + static_cast<size_t>(range.count)];
    return Value::Of(text->Slice(begin, end - begin));
  }
  Text taken;
  for (int64_t i = 0; i < range.count; ++i) {
    const auto at = static_cast<size_t>(range.start + i * range.step);
    taken.Append(text->Slice(bounds[at], bounds[at + 1] - bounds[at]));
  }
  return Value::Of(std::move(taken));
}

}  // namespace floe::tokenizer::jinja
