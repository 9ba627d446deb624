// One schema object, compiled. Used by schema.cc, compile.cc and validate.cc alone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace re2 {
class RE2;
}  // namespace re2

namespace floe::gateway::schema {

struct Node;
using Nodes = std::vector<const Node*>;
using Pattern = std::unique_ptr<re2::RE2>;

enum TypeBit : unsigned {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kNumber = 8,
  kString = 16,
  kArray = 32,
  kObject = 64,
};

// Pointers are to nodes of the same schema. Null and empty say nothing.
struct Node {
  std::optional<bool> always;  // the schemas `true` and `false`
  const Node* reference = nullptr;
  unsigned types = 0;
  std::optional<nlohmann::json> constant;
  std::optional<std::vector<nlohmann::json>> choices;

  std::optional<double> minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of;
  std::optional<uint64_t> min_length, max_length, min_items, max_items;
  std::optional<uint64_t> min_properties, max_properties, min_contains, max_contains;
  Pattern pattern;

  Nodes prefix_items;
  const Node* items = nullptr;  // of what stands behind prefix_items
  const Node* contains = nullptr;
  bool unique_items = false;

  std::map<std::string, const Node*> properties;
  std::vector<std::pair<Pattern, const Node*>> pattern_properties;
  const Node* additional_properties = nullptr;
  const Node* property_names = nullptr;
  std::vector<std::string> required;
  std::map<std::string, std::vector<std::string>> dependent_required;
  std::map<std::string, const Node*> dependent_schemas;

  Nodes all_of, any_of, one_of;
  const Node* negation = nullptr;
  const Node* condition = nullptr;
  const Node* then = nullptr;
  const Node* otherwise = nullptr;
};

}  // namespace floe::gateway::schema
