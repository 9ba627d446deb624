#include "trainer/alignment/spec/evaluate_spec.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "base/view.h"
#include "base/yaml/yaml_map.h"
#include "trainer/spec/reading.h"

namespace floe::trainer {
namespace {

constexpr size_t kMaxEntries = 64;

absl::StatusOr<std::vector<std::string>> ReadList(const YAML::Node& node, std::string_view key,
                                                  bool (*valid)(std::string_view),
                                                  std::string_view form) {
  if (!node.IsSequence() || node.size() == 0 || node.size() > kMaxEntries) {
    return BadYaml(node,
                   absl::StrCat(AbslView(key), " must be a list of 1 to ", kMaxEntries, " names"));
  }
  std::vector<std::string> list;
  for (const YAML::Node& entry : node) {
    if (!entry.IsScalar() || !valid(entry.Scalar())) {
      return BadYaml(entry, absl::StrCat(AbslView(key), " has \"",
                                         entry.IsScalar() ? absl::CHexEscape(entry.Scalar()) : "…",
                                         "\"; write ", AbslView(form)));
    }
    for (const std::string& other : list) {
      if (other == entry.Scalar()) {
        return BadYaml(entry, absl::StrCat("\"", other, "\" stands twice in ", AbslView(key)));
      }
    }
    list.push_back(entry.Scalar());
  }
  return list;
}

bool IsDataset(std::string_view text) { return IsReference(text, "datasets"); }

absl::StatusOr<EvaluateSpec> ReadSpec(const YAML::Node& root) {
  YamlMap map("the specification", root);
  EvaluateSpec spec;
  ReadKind(map, kEvaluateJobKind);
  const YAML::Node models = map.Child("models", Presence::kRequired);
  const YAML::Node datasets = map.Child("datasets", Presence::kRequired);
  map.Read("batch_size", spec.batch_size, {.least = 1, .most = 4096});
  FLOE_RETURN_IF_ERROR(map.Finish());
  FLOE_ASSIGN_OR_RETURN(spec.models,
                        ReadList(models, "models", IsModelReference,
                                 "<model>@<alias>, <model>@<number>, <model>@latest or "
                                 "sha256:<digest>"));
  FLOE_ASSIGN_OR_RETURN(spec.datasets, ReadList(datasets, "datasets", IsDataset,
                                                "its id or teams/<team>/datasets/<id>, with "
                                                "@sha256:<digest> for one revision"));
  return spec;
}

}  // namespace

absl::StatusOr<EvaluateSpec> ParseEvaluateSpec(std::string_view text) {
  EvaluateSpec spec;
  FLOE_RETURN_IF_ERROR(ReadYaml(text, kMaxSpecBytes, [&](const YAML::Node& root) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(spec, ReadSpec(root));
    return absl::OkStatus();
  }));
  return spec;
}

std::string EvaluateSpecJson(const EvaluateSpec& spec) {
  nlohmann::ordered_json json;
  json["models"] = spec.models;
  json["datasets"] = spec.datasets;
  json["batch_size"] = spec.batch_size;
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace floe::trainer
