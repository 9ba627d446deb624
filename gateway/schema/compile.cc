#include "gateway/schema/compile.h"

#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include <re2/re2.h>

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::gateway::schema {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr int64_t kPatternMemory = 1 << 20;

constexpr std::array<std::pair<std::string_view, unsigned>, 7> kTypes = {{{"null", kNull},
                                                                          {"boolean", kBoolean},
                                                                          {"integer", kInteger},
                                                                          {"number", kNumber},
                                                                          {"string", kString},
                                                                          {"array", kArray},
                                                                          {"object", kObject}}};

// They say something about values without constraining them. `format` is among them: the standard
// makes it a description unless a schema's dialect says otherwise.
constexpr std::array<std::string_view, 15> kDescribing = {
    "$schema",  "$id",       "$comment",         "$defs",           "definitions",
    "title",    "default",   "description",      "examples",        "deprecated",
    "readOnly", "writeOnly", "contentMediaType", "contentEncoding", "format"};

std::string Escaped(std::string_view key) {
  return absl::StrReplaceAll(AbslView(key), {{"~", "~0"}, {"/", "~1"}});
}

class Compiler {
 public:
  explicit Compiler(Compiled& out) : out_(out) {}

  absl::Status Run(const json& root) {
    FLOE_ASSIGN_OR_RETURN(out_.root, Read(root, "", 0));
    for (const auto& [node, target] : references_) {
      const auto found = by_pointer_.find(target);
      if (found == by_pointer_.end()) {
        return Wrong("/$ref",
                     absl::StrCat("$ref leads to #", target, ", where this schema has no schema"));
      }
      node->reference = found->second;
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Wrong(std::string_view pointer, std::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("at ", pointer.empty() ? "the top" : absl::CHexEscape(AbslView(pointer)), ": ",
                     AbslView(what)));
  }

  absl::StatusOr<const Node*> Read(const json& schema, const std::string& pointer, int depth) {
    if (depth > kMaxDepth) return Wrong(pointer, "the schema nests deeper than 32 levels");
    out_.nodes.push_back(std::make_unique<Node>());
    Node& node = *out_.nodes.back();
    by_pointer_[pointer] = &node;
    if (schema.is_boolean()) {
      node.always = schema.get<bool>();
      return &node;
    }
    if (!schema.is_object()) return Wrong(pointer, "a schema must be an object, true or false");
    for (const auto& [keyword, value] : schema.items()) {
      const std::string place = absl::StrCat(pointer, "/", Escaped(keyword));
      FLOE_ASSIGN_OR_RETURN(const bool known, ReadKeyword(node, keyword, value, place, depth + 1));
      if (!known) {
        return Wrong(place, absl::StrCat("the keyword ", absl::CHexEscape(keyword),
                                         " is not supported by this server; leave it out"));
      }
    }
    return &node;
  }

  absl::StatusOr<bool> ReadKeyword(Node& node, const std::string& keyword, const json& value,
                                   const std::string& place, int depth) {
    if (keyword == "$defs" || keyword == "definitions") {
      std::map<std::string, const Node*> unused;  // they are found by their pointers
      FLOE_RETURN_IF_ERROR(ReadMap(unused, value, place, depth));
      return true;
    }
    for (const std::string_view word : kDescribing) {
      if (keyword == word) return true;
    }
    FLOE_ASSIGN_OR_RETURN(const bool scalar, ReadScalar(node, keyword, value, place));
    if (scalar) return true;
    return ReadApplicator(node, keyword, value, place, depth);
  }

  absl::StatusOr<bool> ReadScalar(Node& node, const std::string& keyword, const json& value,
                                  const std::string& place) {
    if (keyword == "type") return ReadTypes(node, value, place);
    if (keyword == "const") {
      node.constant = value;
      return true;
    }
    if (keyword == "enum") {
      if (!value.is_array()) return Wrong(place, "enum must be a list");
      node.choices = value.get<std::vector<json>>();
      return true;
    }
    if (keyword == "pattern") {
      FLOE_ASSIGN_OR_RETURN(node.pattern, ReadPattern(value, place));
      return true;
    }
    if (keyword == "uniqueItems") {
      if (!value.is_boolean()) return Wrong(place, "uniqueItems must be true or false");
      node.unique_items = value.get<bool>();
      return true;
    }
    if (keyword == "$ref") return ReadReference(node, value, place);
    if (keyword == "required") {
      FLOE_ASSIGN_OR_RETURN(node.required, ReadNames(value, place));
      return true;
    }
    return ReadNumber(node, keyword, value, place);
  }

  absl::StatusOr<bool> ReadNumber(Node& node, const std::string& keyword, const json& value,
                                  const std::string& place) {
    const std::map<std::string_view, std::optional<double> Node::*> numbers = {
        {"minimum", &Node::minimum},
        {"maximum", &Node::maximum},
        {"exclusiveMinimum", &Node::exclusive_minimum},
        {"exclusiveMaximum", &Node::exclusive_maximum},
        {"multipleOf", &Node::multiple_of}};
    const std::map<std::string_view, std::optional<uint64_t> Node::*> counts = {
        {"minLength", &Node::min_length},         {"maxLength", &Node::max_length},
        {"minItems", &Node::min_items},           {"maxItems", &Node::max_items},
        {"minProperties", &Node::min_properties}, {"maxProperties", &Node::max_properties},
        {"minContains", &Node::min_contains},     {"maxContains", &Node::max_contains}};
    if (const auto found = numbers.find(keyword); found != numbers.end()) {
      if (!value.is_number()) return Wrong(place, "must be a number");
      node.*found->second = value.get<double>();
      if (keyword == "multipleOf" && !(value.get<double>() > 0)) {
        return Wrong(place, "multipleOf must be above 0");
      }
      return true;
    }
    if (const auto found = counts.find(keyword); found != counts.end()) {
      if (!value.is_number_unsigned()) return Wrong(place, "must be an integer, at least 0");
      node.*found->second = value.get<uint64_t>();
      return true;
    }
    return false;
  }

  absl::StatusOr<bool> ReadApplicator(Node& node, const std::string& keyword, const json& value,
                                      const std::string& place, int depth) {
    const std::map<std::string_view, const Node* Node::*> single = {
        {"contains", &Node::contains},
        {"additionalProperties", &Node::additional_properties},
        {"propertyNames", &Node::property_names},
        {"not", &Node::negation},
        {"if", &Node::condition},
        {"then", &Node::then},
        {"else", &Node::otherwise}};
    const std::map<std::string_view, Nodes Node::*> lists = {{"allOf", &Node::all_of},
                                                             {"anyOf", &Node::any_of},
                                                             {"oneOf", &Node::one_of},
                                                             {"prefixItems", &Node::prefix_items}};
    if (keyword == "items" && value.is_array()) {  // of earlier drafts
      FLOE_RETURN_IF_ERROR(ReadList(node.prefix_items, value, place, depth));
      return true;
    }
    if (keyword == "items" || keyword == "additionalItems") {
      FLOE_ASSIGN_OR_RETURN(node.items, Read(value, place, depth));
      return true;
    }
    if (const auto found = single.find(keyword); found != single.end()) {
      FLOE_ASSIGN_OR_RETURN(node.*found->second, Read(value, place, depth));
      return true;
    }
    if (const auto found = lists.find(keyword); found != lists.end()) {
      FLOE_RETURN_IF_ERROR(ReadList(node.*found->second, value, place, depth));
      return true;
    }
    if (keyword == "properties") {
      FLOE_RETURN_IF_ERROR(ReadMap(node.properties, value, place, depth));
      return true;
    }
    if (keyword == "dependentSchemas") {
      FLOE_RETURN_IF_ERROR(ReadMap(node.dependent_schemas, value, place, depth));
      return true;
    }
    if (keyword == "patternProperties") return ReadPatterns(node, value, place, depth);
    if (keyword == "dependentRequired" || keyword == "dependencies") {
      return ReadDependencies(node, value, place, depth);
    }
    return false;
  }

  absl::Status ReadList(Nodes& nodes, const json& value, const std::string& place, int depth) {
    if (!value.is_array() || value.empty()) {
      return Wrong(place, "must be a list of schemas, not empty");
    }
    for (size_t i = 0; i < value.size(); ++i) {
      FLOE_ASSIGN_OR_RETURN(nodes.emplace_back(),
                            Read(value[i], absl::StrCat(place, "/", i), depth));
    }
    return absl::OkStatus();
  }

  absl::Status ReadMap(std::map<std::string, const Node*>& nodes, const json& value,
                       const std::string& place, int depth) {
    if (!value.is_object()) return Wrong(place, "must be an object of schemas");
    for (const auto& [name, schema] : value.items()) {
      FLOE_ASSIGN_OR_RETURN(nodes[name],
                            Read(schema, absl::StrCat(place, "/", Escaped(name)), depth));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> ReadPatterns(Node& node, const json& value, const std::string& place,
                                    int depth) {
    if (!value.is_object()) return Wrong(place, "must be an object of schemas");
    for (const auto& [pattern, schema] : value.items()) {
      FLOE_ASSIGN_OR_RETURN(Pattern compiled, ReadPattern(json(pattern), place));
      FLOE_ASSIGN_OR_RETURN(const Node* child,
                            Read(schema, absl::StrCat(place, "/", Escaped(pattern)), depth));
      node.pattern_properties.emplace_back(std::move(compiled), child);
    }
    return true;
  }

  absl::StatusOr<bool> ReadDependencies(Node& node, const json& value, const std::string& place,
                                        int depth) {
    if (!value.is_object()) return Wrong(place, "must be an object");
    for (const auto& [name, dependency] : value.items()) {
      const std::string inner = absl::StrCat(place, "/", Escaped(name));
      if (dependency.is_array()) {
        FLOE_ASSIGN_OR_RETURN(node.dependent_required[name], ReadNames(dependency, inner));
      } else {
        FLOE_ASSIGN_OR_RETURN(node.dependent_schemas[name], Read(dependency, inner, depth));
      }
    }
    return true;
  }

  static absl::StatusOr<bool> ReadTypes(Node& node, const json& value, const std::string& place) {
    const json list = value.is_array() ? value : json::array({value});
    for (const json& entry : list) {
      unsigned bit = 0;
      for (const auto& [name, type] : kTypes) bit |= entry == name ? type : 0;
      if (bit == 0) {
        return Wrong(place, "type must be null, boolean, integer, number, string, array or object");
      }
      node.types |= bit;
    }
    if (node.types == 0) return Wrong(place, "type must name at least one type");
    return true;
  }

  static absl::StatusOr<Pattern> ReadPattern(const json& value, const std::string& place) {
    if (!value.is_string()) return Wrong(place, "must be a string");
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kPatternMemory);
    auto pattern = std::make_unique<re2::RE2>(value.get<std::string>(), options);
    if (!pattern->ok()) return Wrong(place, absl::StrCat("the pattern: ", pattern->error()));
    return pattern;
  }

  absl::StatusOr<bool> ReadReference(Node& node, const json& value, const std::string& place) {
    if (!value.is_string() || !value.get<std::string>().starts_with('#')) {
      return Wrong(place, "$ref must point into this schema: \"#/$defs/…\"");
    }
    references_.emplace_back(&node, value.get<std::string>().substr(1));
    return true;
  }

  static absl::StatusOr<std::vector<std::string>> ReadNames(const json& value,
                                                            const std::string& place) {
    std::vector<std::string> names;
    if (!value.is_array()) return Wrong(place, "must be a list of names");
    for (const json& name : value) {
      if (!name.is_string()) return Wrong(place, "must be a list of names");
      names.push_back(name.get<std::string>());
    }
    return names;
  }

  Compiled& out_;
  std::map<std::string, const Node*> by_pointer_;
  std::vector<std::pair<Node*, std::string>> references_;
};

}  // namespace

absl::StatusOr<Compiled> CompileNodes(const json& schema) {
  Compiled compiled;
  FLOE_RETURN_IF_ERROR(Compiler(compiled).Run(schema));
  return compiled;
}

}  // namespace floe::gateway::schema
