#include "tokenizer/jinja/argument_checks.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::tokenizer::jinja {

absl::Status WrongKind(std::string_view what, const Value& operand) {
  FLOE_RETURN_IF_ERROR(CheckDefined(operand));
  return absl::InvalidArgumentError(
      absl::StrCat("'", AbslView(what), "' does not work on ", AbslView(KindOf(operand))));
}

absl::Status CheckCount(std::string_view what, size_t given, size_t least, size_t most) {
  if (given >= least && given <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("'", AbslView(what), "' has ", given,
                                                 " arguments; it takes ", least,
                                                 most > least ? absl::StrCat(" to ", most) : ""));
}

absl::StatusOr<const Text*> TextArgument(std::string_view what, const Value& value) {
  if (value.text() != nullptr) return value.text();
  return WrongKind(what, value);
}

absl::StatusOr<int64_t> IntegerArgument(std::string_view what, const Value& value) {
  if (const auto* held = value.As<int64_t>()) return *held;
  return WrongKind(what, value);
}

std::optional<Case> CaseOf(std::string_view name) {
  if (name == "upper") return Case::kUpper;
  if (name == "lower") return Case::kLower;
  if (name == "capitalize") return Case::kCapitalize;
  return std::nullopt;
}

absl::StatusOr<Value> Items(const Value& operand, Budget& budget) {
  std::vector<Value> pairs;
  if (operand.undefined()) return MakeList({}, budget);
  if (operand.map() == nullptr) return WrongKind("items", operand);
  for (const auto& [key, value] : operand.map()->entries) {
    FLOE_RETURN_IF_ERROR(budget.SpendBytes(key.size()));
    FLOE_ASSIGN_OR_RETURN(Value pair, MakeList({Value::Of(key), value}, budget, true));
    pairs.push_back(std::move(pair));
  }
  return MakeList(std::move(pairs), budget);
}

absl::StatusOr<Value> ReplaceIn(const Text& text, const Value& from, const Value& to,
                                Budget& budget) {
  FLOE_ASSIGN_OR_RETURN(const Text* old, TextArgument("replace", from));
  FLOE_ASSIGN_OR_RETURN(const Text* replacement, TextArgument("replace", to));
  if (old->size() == 0) return absl::InvalidArgumentError("replace of an empty text");
  const size_t longest = text.size() / old->size() * replacement->size() + text.size();
  FLOE_RETURN_IF_ERROR(budget.SpendBytes(longest + text.size() * (old->size() / 32)));
  return Value::Of(Replace(text, old->bytes, *replacement));
}

}  // namespace floe::tokenizer::jinja
