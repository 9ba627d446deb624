// What an expression of a template can be: Python's values, as far as the subset has them.
//
// Values are immutable and shared, but for namespaces, which a template changes. A namespace is
// never an element of another value, so no value can contain itself. Not thread-safe to write;
// pure otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

#include "tokenizer/jinja/budget.h"
#include "tokenizer/jinja/text.h"

namespace floe::tokenizer::jinja {

struct Value;
struct Statement;

struct Undefined {
  std::string_view name;  // for messages; part of the template
};
struct None {};
struct List {
  std::vector<Value> items;
  int depth = 1;       // of lists and mappings inside one another
  bool tuple = false;  // equal to no list
};
struct Map {
  std::vector<std::pair<Text, Value>> entries;  // in their order, no key twice
  int depth = 1;

  const Value* Find(std::string_view key) const;  // null: there is none
};
struct Namespace {
  std::map<std::string, Value, std::less<>> attributes;
};
struct Loop {
  std::shared_ptr<const List> items;  // shared with the statement that goes through it
  int64_t index0 = 0;
};
struct Macro {
  const Statement* statement;  // of the template that is rendered; null: a function of names.h
};

struct Value {
  using Variant = std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>,
                               std::shared_ptr<const List>, std::shared_ptr<const Map>,
                               std::shared_ptr<Namespace>, std::shared_ptr<const Loop>, Macro>;
  Variant data;

  Value() = default;
  Value(Variant value) : data(std::move(value)) {}  // NOLINT: a value is what it holds
  static Value Of(Text text) { return Variant(std::make_shared<const Text>(std::move(text))); }
  static Value Of(std::string_view text, Origin origin) { return Of(Text(text, origin)); }
  static Value Of(bool value) { return Variant(value); }
  static Value Of(int64_t value) { return Variant(value); }

  template <typename T>
  const T* As() const {
    return std::get_if<T>(&data);
  }
  const Text* text() const {
    const auto* held = As<std::shared_ptr<const Text>>();
    return held == nullptr ? nullptr : held->get();
  }
  const List* list() const {
    const auto* held = As<std::shared_ptr<const List>>();
    return held == nullptr ? nullptr : held->get();
  }
  const Map* map() const {
    const auto* held = As<std::shared_ptr<const Map>>();
    return held == nullptr ? nullptr : held->get();
  }
  bool undefined() const { return As<Undefined>() != nullptr; }
  bool none() const { return As<None>() != nullptr; }
  bool number() const { return As<bool>() || As<int64_t>() || As<double>(); }
};

// What a person would call it: "a list".
std::string_view KindOf(const Value& value);
bool Truth(const Value& value);
// "'tools' is undefined" and the like, for operations that need a value.
absl::Status CheckDefined(const Value& value);
// The number of a bool, integer or float, which count as one another's equals.
double AsDouble(const Value& value);
// The integer of an integer or a bool, which counts as 0 or 1.
std::optional<int64_t> IntegerOf(const Value& value);

// The constructors of containers: they spend work for their elements, and refuse depth, a namespace
// or a macro inside. RESOURCE_EXHAUSTED, INVALID_ARGUMENT.
absl::StatusOr<Value> MakeList(std::vector<Value> items, Budget& budget, bool tuple = false);
absl::StatusOr<Value> MakeMap(std::vector<std::pair<Text, Value>> entries, Budget& budget);

// Python's ==.
absl::StatusOr<bool> Equal(const Value& a, const Value& b, Budget& budget);
// Python's <; INVALID_ARGUMENT where the kinds have no order.
absl::StatusOr<bool> Less(const Value& a, const Value& b, Budget& budget);
// What {{ value }} writes, and ~ puts together. Lists and mappings have no text here:
// INVALID_ARGUMENT.
absl::StatusOr<Text> ToText(const Value& value);
// Python's repr of a float: 1.0, 1e+16, 0.1.
std::string FloatText(double value);

// What `for` goes through: elements, keys, characters. INVALID_ARGUMENT for what cannot be
// iterated.
absl::StatusOr<std::vector<Value>> Elements(const Value& value, Budget& budget);
// Python's `needle in haystack`.
absl::StatusOr<bool> Contains(const Value& haystack, const Value& needle, Budget& budget);

}  // namespace floe::tokenizer::jinja
