#include "tokenizer/jinja/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/jinja/python_text.h"

namespace floe::tokenizer::jinja {
namespace {

absl::Status CheckElement(const Value& value, int& depth) {
  if (value.As<std::shared_ptr<Namespace>>() || value.As<std::shared_ptr<const Loop>>() ||
      value.As<Macro>()) {
    return absl::InvalidArgumentError(
        absl::StrCat(AbslView(KindOf(value)), " cannot be kept inside another value"));
  }
  if (value.list() != nullptr) depth = std::max(depth, value.list()->depth + 1);
  if (value.map() != nullptr) depth = std::max(depth, value.map()->depth + 1);
  if (depth <= kMaxValueDepth) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("lists and mappings lie more than ", kMaxValueDepth, " deep in one another"));
}

absl::StatusOr<bool> EqualLists(const List& a, const List& b, Budget& budget) {
  if (a.items.size() != b.items.size() || a.tuple != b.tuple) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    FLOE_ASSIGN_OR_RETURN(const bool equal, Equal(a.items[i], b.items[i], budget));
    if (!equal) return false;
  }
  return true;
}

absl::StatusOr<bool> EqualMaps(const Map& a, const Map& b, Budget& budget) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    FLOE_RETURN_IF_ERROR(budget.Spend(static_cast<int64_t>(b.entries.size())));
    const Value* other = b.Find(key.bytes);
    if (other == nullptr) return false;
    FLOE_ASSIGN_OR_RETURN(const bool equal, Equal(value, *other, budget));
    if (!equal) return false;
  }
  return true;
}

}  // namespace

const Value* Map::Find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const auto& entry) { return entry.first.bytes == key; });
  return found == entries.end() ? nullptr : &found->second;
}

std::string_view KindOf(const Value& value) {
  constexpr std::string_view kNames[] = {"an undefined value", "none",   "a boolean", "a number",
                                         "a number",           "a text", "a list",    "a mapping",
                                         "a namespace",        "a loop", "a macro"};
  return kNames[value.data.index()];
}

bool Truth(const Value& value) {
  if (value.undefined() || value.none()) return false;
  if (value.number()) return AsDouble(value) != 0;
  if (value.text() != nullptr) return value.text()->size() > 0;
  if (value.list() != nullptr) return !value.list()->items.empty();
  if (value.map() != nullptr) return !value.map()->entries.empty();
  return true;
}

absl::Status CheckDefined(const Value& value) {
  const auto* undefined = value.As<Undefined>();
  if (undefined == nullptr) return absl::OkStatus();
  if (undefined->name.empty()) return absl::InvalidArgumentError("an element is missing");
  return absl::InvalidArgumentError(absl::StrCat("'", AbslView(undefined->name), "' is undefined"));
}

double AsDouble(const Value& value) {
  if (const auto* held = value.As<bool>()) return *held ? 1 : 0;
  if (const auto* held = value.As<int64_t>()) return static_cast<double>(*held);
  const auto* held = value.As<double>();
  return held == nullptr ? 0 : *held;
}

std::optional<int64_t> IntegerOf(const Value& value) {
  if (const auto* held = value.As<bool>()) return *held ? 1 : 0;
  const auto* held = value.As<int64_t>();
  return held == nullptr ? std::nullopt : std::optional(*held);
}

absl::StatusOr<Value> MakeList(std::vector<Value> items, Budget& budget, bool tuple) {
  FLOE_RETURN_IF_ERROR(budget.Spend(1 + static_cast<int64_t>(items.size())));
  int depth = 1;
  for (const Value& item : items) FLOE_RETURN_IF_ERROR(CheckElement(item, depth));
  return Value(std::make_shared<const List>(List{std::move(items), depth, tuple}));
}

absl::StatusOr<Value> MakeMap(std::vector<std::pair<Text, Value>> entries, Budget& budget) {
  FLOE_RETURN_IF_ERROR(budget.Spend(1 + static_cast<int64_t>(entries.size())));
  int depth = 1;
  for (const auto& [key, value] : entries) FLOE_RETURN_IF_ERROR(CheckElement(value, depth));
  return Value(std::make_shared<const Map>(Map{std::move(entries), depth}));
}

absl::StatusOr<bool> Equal(const Value& a, const Value& b, Budget& budget) {
  FLOE_RETURN_IF_ERROR(budget.Spend(1));
  if (a.number() && b.number()) {
    const auto *x = a.As<int64_t>(), *y = b.As<int64_t>();
    return x != nullptr && y != nullptr ? *x == *y : AsDouble(a) == AsDouble(b);
  }
  if (a.data.index() != b.data.index()) return false;
  if (a.text() != nullptr) {
    FLOE_RETURN_IF_ERROR(budget.SpendBytes(a.text()->size()));
    return a.text()->bytes == b.text()->bytes;
  }
  if (a.list() != nullptr) return EqualLists(*a.list(), *b.list(), budget);
  if (a.map() != nullptr) return EqualMaps(*a.map(), *b.map(), budget);
  if (const auto* space = a.As<std::shared_ptr<Namespace>>()) {
    return *space == *b.As<std::shared_ptr<Namespace>>();
  }
  return true;  // none and none, undefined and undefined
}

absl::StatusOr<bool> Less(const Value& a, const Value& b, Budget& budget) {
  FLOE_RETURN_IF_ERROR(CheckDefined(a));
  FLOE_RETURN_IF_ERROR(CheckDefined(b));
  if (a.number() && b.number()) {
    const auto *x = a.As<int64_t>(), *y = b.As<int64_t>();
    return x != nullptr && y != nullptr ? *x < *y : AsDouble(a) < AsDouble(b);
  }
  if (a.text() != nullptr && b.text() != nullptr) {
    FLOE_RETURN_IF_ERROR(budget.SpendBytes(a.text()->size()));
    return a.text()->bytes < b.text()->bytes;  // UTF-8 has the order of its code points
  }
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(KindOf(a)), " and ", AbslView(KindOf(b)), " have no order"));
}

std::string FloatText(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  char digits[64];
  const double size = std::fabs(value);
  const auto format = size != 0 && (size < 1e-4 || size >= 1e16) ? std::chars_format::scientific
                                                                 : std::chars_format::fixed;
  const auto end = std::to_chars(digits, digits + sizeof(digits), value, format).ptr;
  std::string text(digits, end);
  if (format == std::chars_format::fixed && text.find('.') == std::string::npos) text += ".0";
  return text;
}

absl::StatusOr<Text> ToText(const Value& value) {
  if (value.text() != nullptr) return *value.text();
  if (value.undefined()) return Text();
  if (value.none()) return Text("None", Origin::kData);
  if (const auto* held = value.As<bool>()) return Text(*held ? "True" : "False", Origin::kData);
  if (const auto* held = value.As<int64_t>()) return Text(absl::StrCat(*held), Origin::kData);
  if (const auto* held = value.As<double>()) return Text(FloatText(*held), Origin::kData);
  return absl::InvalidArgumentError(absl::StrCat("text of ", AbslView(KindOf(value)),
                                                 " is not supported; use the filter tojson"));
}

absl::StatusOr<std::vector<Value>> Elements(const Value& value, Budget& budget) {
  std::vector<Value> elements;
  if (const List* list = value.list()) {
    FLOE_RETURN_IF_ERROR(budget.Spend(static_cast<int64_t>(list->items.size())));
    return list->items;
  }
  if (const Map* map = value.map()) {
    for (const auto& [key, unused] : map->entries) {
      FLOE_RETURN_IF_ERROR(budget.SpendBytes(key.size()));
      elements.push_back(Value::Of(key));
    }
    return elements;
  }
  if (const Text* text = value.text()) {
    const std::vector<size_t> bounds = CharacterBounds(text->bytes);
    // A value of its own for each character weighs much more than its bytes.
    FLOE_RETURN_IF_ERROR(budget.Spend(8 * static_cast<int64_t>(bounds.size())));
    for (size_t i = 0; i + 1 < bounds.size(); ++i) {
      elements.push_back(Value::Of(text->Slice(bounds[i], bounds[i + 1] - bounds[i])));
    }
    return elements;
  }
  if (value.undefined()) return elements;
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(KindOf(value)), " has no elements to go through"));
}

absl::StatusOr<bool> Contains(const Value& haystack, const Value& needle, Budget& budget) {
  if (const Text* text = haystack.text()) {
    if (needle.text() == nullptr) {
      FLOE_RETURN_IF_ERROR(CheckDefined(needle));
      return absl::InvalidArgumentError(
          absl::StrCat("'in' a text needs a text, not ", AbslView(KindOf(needle))));
    }
    // The worst case of a search is the product of both.
    FLOE_RETURN_IF_ERROR(budget.SpendBytes(text->size() * (1 + needle.text()->size() / 32)));
    return text->bytes.find(needle.text()->bytes) != std::string::npos;
  }
  if (const Map* map = haystack.map()) {
    FLOE_RETURN_IF_ERROR(budget.Spend(static_cast<int64_t>(map->entries.size())));
    return needle.text() != nullptr && map->Find(needle.text()->bytes) != nullptr;
  }
  FLOE_ASSIGN_OR_RETURN(const std::vector<Value> elements, Elements(haystack, budget));
  for (const Value& element : elements) {
    FLOE_ASSIGN_OR_RETURN(const bool equal, Equal(element, needle, budget));
    if (equal) return true;
  }
  return false;
}

}  // namespace floe::tokenizer::jinja
