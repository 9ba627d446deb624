#include "trainer/alignment/spec/inspect_spec.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "base/view.h"
#include "base/yaml/yaml_map.h"
#include "trainer/spec/reading.h"

namespace floe::trainer {
namespace {

constexpr int64_t kMaxTokens = 1 << 20;

absl::Status CheckModel(const YamlMap& map, std::string_view key, const std::string& reference) {
  if (IsModelReference(reference)) return absl::OkStatus();
  return BadYaml(map.At(key),
                 absl::StrCat(AbslView(key), " is \"", absl::CHexEscape(reference),
                              "\"; write <model>@<alias>, <model>@<number>, <model>@latest or "
                              "sha256:<digest>"));
}

absl::Status ReadSpec(const YAML::Node& root, InspectSpec& spec) {
  YamlMap map("the specification", root);
  ReadKind(map, kInspectJobKind);
  map.Read("model", spec.model, Presence::kRequired);
  map.Read("against", spec.against);
  ReadReference(map, "dataset", "datasets", spec.dataset);
  map.Read("tokens", spec.tokens, {.least = 16, .most = kMaxTokens});
  map.Read("seed", spec.seed);
  FLOE_RETURN_IF_ERROR(map.Finish());
  FLOE_RETURN_IF_ERROR(CheckModel(map, "model", spec.model));
  return spec.against.empty() ? absl::OkStatus() : CheckModel(map, "against", spec.against);
}

}  // namespace

absl::StatusOr<InspectSpec> ParseInspectSpec(std::string_view text) {
  InspectSpec spec;
  FLOE_RETURN_IF_ERROR(
      ReadYaml(text, kMaxSpecBytes, [&](const YAML::Node& root) { return ReadSpec(root, spec); }));
  return spec;
}

std::string InspectSpecJson(const InspectSpec& spec) {
  nlohmann::ordered_json json;
  json["model"] = spec.model;
  if (!spec.against.empty()) json["against"] = spec.against;
  json["dataset"] = spec.dataset;
  json["tokens"] = spec.tokens;
  json["seed"] = spec.seed;
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace floe::trainer
