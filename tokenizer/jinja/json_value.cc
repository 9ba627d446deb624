#include "tokenizer/jinja/json_value.h"

#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace floe::tokenizer::jinja {

absl::StatusOr<Value> FromJson(const nlohmann::ordered_json& json, Origin origin, Budget& budget) {
  if (json.is_boolean()) return Value::Of(json.get<bool>());
  if (json.is_number_integer()) return Value::Of(json.get<int64_t>());
  if (json.is_number()) return Value(json.get<double>());
  if (json.is_string()) return Value::Of(json.get_ref<const std::string&>(), origin);
  if (json.is_array()) {
    std::vector<Value> items;
    for (const auto& item : json) {
      FLOE_ASSIGN_OR_RETURN(Value value, FromJson(item, origin, budget));
      items.push_back(std::move(value));
    }
    return MakeList(std::move(items), budget);
  }
  if (json.is_object()) {
    std::vector<std::pair<Text, Value>> entries;
    for (const auto& [key, item] : json.items()) {
      FLOE_ASSIGN_OR_RETURN(Value value, FromJson(item, origin, budget));
      entries.emplace_back(Text(key, origin), std::move(value));
    }
    return MakeMap(std::move(entries), budget);
  }
  return Value(None());
}

}  // namespace floe::tokenizer::jinja
