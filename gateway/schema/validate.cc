#include "gateway/schema/validate.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include <re2/re2.h>

#include "base/view.h"

namespace floe::gateway::schema {
namespace {

using nlohmann::json;

// A $ref that leads to itself, or a chain of them, takes no step in the value.
constexpr int kMaxDepth = 1000;

unsigned TypeOf(const json& value) {
  if (value.is_null()) return kNull;
  if (value.is_boolean()) return kBoolean;
  if (value.is_number_integer()) return kInteger | kNumber;
  if (value.is_number()) {
    const double number = value.get<double>();
    return std::floor(number) == number ? kInteger | kNumber : kNumber;  // 1.0 is an integer
  }
  if (value.is_string()) return kString;
  return value.is_array() ? kArray : kObject;
}

std::string TypeNames(unsigned types) {
  constexpr const char* kNames[] = {"null",     "a boolean", "an integer", "a number",
                                    "a string", "an array",  "an object"};
  std::vector<std::string_view> names;
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if ((types & (1u << i)) != 0) names.emplace_back(kNames[i]);
  }
  return absl::StrJoin(names, " or ", [](std::string* out, std::string_view name) {
    absl::StrAppend(out, AbslView(name));
  });
}

uint64_t Characters(std::string_view utf8) {
  return static_cast<uint64_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

bool Matches(const re2::RE2& pattern, std::string_view text) {
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), pattern);
}

class Validation {
 public:
  // Whether `value` fits; otherwise the first breach is recorded, unless one is being tried only.
  bool Fits(const Node& node, const json& value) {
    if (++steps_ > kMaxSteps || depth_ > kMaxDepth) {
      exhausted_ = true;
      return false;
    }
    ++depth_;
    const bool fits = FitsHere(node, value);
    --depth_;
    return fits;
  }

  bool exhausted() const { return exhausted_; }
  absl::Status status() const {
    if (exhausted_) {
      return absl::FailedPreconditionError(
          "checking the answer against the schema takes too many steps; simplify the schema");
    }
    return absl::FailedPreconditionError(absl::StrCat("at ", breach_));
  }

 private:
  bool Breach(std::string what) {
    if (trying_ == 0 && breach_.empty()) {
      breach_ = absl::StrCat(path_.empty() ? "the top" : absl::CHexEscape(path_), ": ", what);
    }
    return false;
  }

  // Whether it would fit; says nothing about why not.
  bool WouldFit(const Node& node, const json& value) {
    ++trying_;
    const bool fits = Fits(node, value);
    --trying_;
    return fits;
  }

  bool FitsInside(const Node& node, const json& value, std::string_view step) {
    const size_t before = path_.size();
    absl::StrAppend(&path_, "/", AbslView(step));
    const bool fits = Fits(node, value);
    path_.resize(before);
    return fits;
  }

  bool FitsHere(const Node& node, const json& value) {
    if (node.always) return *node.always || Breach("nothing may stand here");
    if (node.reference != nullptr && !Fits(*node.reference, value)) return false;
    const unsigned type = TypeOf(value);
    if (node.types != 0 && (node.types & type) == 0) {
      return Breach(absl::StrCat(
          "must be ", TypeNames(node.types), ", and is ",
          TypeNames(type & (kNull | kBoolean | kNumber | kString | kArray | kObject))));
    }
    if (node.constant && value != *node.constant) return Breach("must be the schema's constant");
    if (node.choices &&
        std::find(node.choices->begin(), node.choices->end(), value) == node.choices->end()) {
      return Breach("must be one of the schema's enum");
    }
    if (value.is_number() && !FitsNumber(node, value.get<double>())) return false;
    if (value.is_string() && !FitsString(node, value.get_ref<const std::string&>())) return false;
    if (value.is_array() && !FitsArray(node, value)) return false;
    if (value.is_object() && !FitsObject(node, value)) return false;
    return FitsCombination(node, value);
  }

  bool FitsNumber(const Node& node, double number) {
    if (node.minimum && number < *node.minimum) {
      return Breach(absl::StrCat("must be at least ", *node.minimum));
    }
    if (node.maximum && number > *node.maximum) {
      return Breach(absl::StrCat("must be at most ", *node.maximum));
    }
    if (node.exclusive_minimum && number <= *node.exclusive_minimum) {
      return Breach(absl::StrCat("must be above ", *node.exclusive_minimum));
    }
    if (node.exclusive_maximum && number >= *node.exclusive_maximum) {
      return Breach(absl::StrCat("must be below ", *node.exclusive_maximum));
    }
    if (node.multiple_of) {
      // 0.3 is a multiple of 0.1, though not of the nearest double.
      const double times = number / *node.multiple_of;
      if (std::abs(times - std::round(times)) > 1e-9 * std::max(1.0, std::abs(times))) {
        return Breach(absl::StrCat("must be a multiple of ", *node.multiple_of));
      }
    }
    return true;
  }

  bool InRange(uint64_t count, std::optional<uint64_t> least, std::optional<uint64_t> most,
               std::string_view what) {
    if (least && count < *least) {
      return Breach(absl::StrCat("must have at least ", *least, " ", AbslView(what)));
    }
    if (most && count > *most) {
      return Breach(absl::StrCat("must have at most ", *most, " ", AbslView(what)));
    }
    return true;
  }

  bool FitsString(const Node& node, const std::string& text) {
    if (!InRange(Characters(text), node.min_length, node.max_length, "characters")) return false;
    if (node.pattern != nullptr) steps_ += static_cast<int64_t>(text.size() / 64);
    if (node.pattern != nullptr && !Matches(*node.pattern, text)) {
      return Breach(
          absl::StrCat("must match the pattern ", absl::CHexEscape(node.pattern->pattern())));
    }
    return true;
  }

  bool FitsArray(const Node& node, const json& list) {
    if (!InRange(list.size(), node.min_items, node.max_items, "entries")) return false;
    for (size_t i = 0; i < list.size(); ++i) {
      const Node* schema = i < node.prefix_items.size() ? node.prefix_items[i] : node.items;
      if (schema != nullptr && !FitsInside(*schema, list[i], absl::StrCat(i))) return false;
    }
    if (node.contains != nullptr) {
      uint64_t count = 0;
      for (const json& entry : list) count += WouldFit(*node.contains, entry) ? 1 : 0;
      if (!InRange(count, node.min_contains.value_or(1), node.max_contains,
                   "entries of the kind that it must contain")) {
        return false;
      }
    }
    return !node.unique_items || IsUnique(list) || Breach("must not have an entry twice");
  }

  bool IsUnique(const json& list) {
    std::vector<const json*> sorted;
    for (const json& entry : list) sorted.push_back(&entry);
    steps_ += static_cast<int64_t>(sorted.size());
    std::sort(sorted.begin(), sorted.end(), [](const json* a, const json* b) { return *a < *b; });
    return std::adjacent_find(sorted.begin(), sorted.end(), [](const json* a, const json* b) {
             return *a == *b;
           }) == sorted.end();
  }

  bool FitsObject(const Node& node, const json& object) {
    if (!InRange(object.size(), node.min_properties, node.max_properties, "properties")) {
      return false;
    }
    for (const std::string& name : node.required) {
      if (!object.contains(name)) {
        return Breach(absl::StrCat("lacks the property ", absl::CHexEscape(name)));
      }
    }
    for (const auto& [name, value] : object.items()) {
      if (!FitsProperty(node, name, value)) return false;
    }
    for (const auto& [name, others] : node.dependent_required) {
      if (!object.contains(name)) continue;
      for (const std::string& other : others) {
        if (object.contains(other)) continue;
        return Breach(absl::StrCat("lacks the property ", absl::CHexEscape(other), ", which ",
                                   absl::CHexEscape(name), " needs"));
      }
    }
    for (const auto& [name, schema] : node.dependent_schemas) {
      if (object.contains(name) && !Fits(*schema, object)) return false;
    }
    return true;
  }

  bool FitsProperty(const Node& node, const std::string& name, const json& value) {
    if (node.property_names != nullptr && !WouldFit(*node.property_names, json(name))) {
      return Breach("has a property whose name the schema does not allow");
    }
    bool described = false;
    if (const auto found = node.properties.find(name); found != node.properties.end()) {
      described = true;
      if (!FitsInside(*found->second, value, name)) return false;
    }
    for (const auto& [pattern, schema] : node.pattern_properties) {
      ++steps_;
      if (!Matches(*pattern, name)) continue;
      described = true;
      if (!FitsInside(*schema, value, name)) return false;
    }
    if (described || node.additional_properties == nullptr) return true;
    if (node.additional_properties->always == false) {
      return Breach("has a property that the schema does not name");
    }
    return FitsInside(*node.additional_properties, value, "*");
  }

  bool FitsCombination(const Node& node, const json& value) {
    for (const Node* each : node.all_of) {
      if (!Fits(*each, value)) return false;
    }
    if (!node.any_of.empty() &&
        std::none_of(node.any_of.begin(), node.any_of.end(),
                     [&](const Node* each) { return WouldFit(*each, value); })) {
      return Breach("fits none of anyOf");
    }
    if (!node.one_of.empty()) {
      const auto fitting = std::count_if(node.one_of.begin(), node.one_of.end(),
                                         [&](const Node* each) { return WouldFit(*each, value); });
      if (fitting != 1)
        return Breach(absl::StrCat("fits ", fitting, " of oneOf, and must fit one"));
    }
    if (node.negation != nullptr && WouldFit(*node.negation, value)) {
      return Breach("fits what the schema excludes by not");
    }
    if (node.condition == nullptr) return true;
    const Node* next = WouldFit(*node.condition, value) ? node.then : node.otherwise;
    return next == nullptr || Fits(*next, value);
  }

  int64_t steps_ = 0;
  int depth_ = 0;
  int trying_ = 0;
  bool exhausted_ = false;
  std::string path_;
  std::string breach_;
};

}  // namespace

absl::Status Validate(const Node& root, const json& value) {
  Validation validation;
  const bool fits = validation.Fits(root, value);
  // Whatever a `not` made of a part that was given up does not count.
  if (fits && !validation.exhausted()) return absl::OkStatus();
  return validation.status();
}

}  // namespace floe::gateway::schema
