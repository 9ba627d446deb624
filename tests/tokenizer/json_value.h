// JSON as a template's value, for the tests of templates.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"

#include "tokenizer/jinja/value.h"

namespace floe::tokenizer::jinja {

// Nested deeper than values may be: none.
inline Value FromJson(const nlohmann::ordered_json& json, Origin origin = Origin::kData) {
  Budget budget(1 << 30);
  if (json.is_boolean()) return Value::Of(json.get<bool>());
  if (json.is_number_integer()) return Value::Of(json.get<int64_t>());
  if (json.is_number()) return Value(json.get<double>());
  if (json.is_string()) return Value::Of(json.get<std::string>(), origin);
  if (json.is_array()) {
    std::vector<Value> items;
    for (const auto& item : json) items.push_back(FromJson(item, origin));
    return MakeList(std::move(items), budget).value_or(Value(None()));
  }
  if (json.is_object()) {
    std::vector<std::pair<Text, Value>> entries;
    for (const auto& [key, value] : json.items()) {
      entries.emplace_back(Text(key, origin), FromJson(value, origin));
    }
    return MakeMap(std::move(entries), budget).value_or(Value(None()));
  }
  return Value(None());
}

}  // namespace floe::tokenizer::jinja
