#include "registry/gate.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "base/yaml/yaml_map.h"

namespace floe::registry {
namespace {

constexpr size_t kMaxPolicyBytes = 1 << 16;
constexpr size_t kMaxGates = 100;
constexpr std::string_view kDigestMark = "sha256:";
constexpr NumberRange kAnyNumber{.least = -1e300, .most = 1e300};

bool IsDataset(std::string_view text) {
  if (text.starts_with(kDigestMark)) return IsSha256Hex(text.substr(kDigestMark.size()));
  return IsResourceId(text);
}

std::optional<double> ReadBound(YamlMap& map, std::string_view key) {
  if (!map.Has(key)) {
    map.Child(key);  // known, and not there
    return std::nullopt;
  }
  double value = 0;
  map.Read(key, value, kAnyNumber);
  return value;
}

absl::StatusOr<Gate> ReadGate(const YAML::Node& node) {
  YamlMap map("a gate", node);
  Gate gate;
  std::string better;
  map.Read("metric", gate.metric, Presence::kRequired);
  map.Read("dataset", gate.dataset, Presence::kRequired);
  map.Read("better", better, Presence::kRequired);
  map.Read("may_worsen_by", gate.may_worsen_by, {.least = 0, .most = 1e300});
  map.Read("alias", gate.alias);
  gate.at_least = ReadBound(map, "at_least");
  gate.at_most = ReadBound(map, "at_most");
  FLOE_RETURN_IF_ERROR(map.Finish());
  if (!IsResourceId(gate.metric)) {
    return BadYaml(map.At("metric"), absl::StrCat("metric is \"", absl::CHexEscape(gate.metric),
                                                  "\"; give a name such as answer_loss"));
  }
  if (!IsDataset(gate.dataset)) {
    return BadYaml(map.At("dataset"), absl::StrCat("dataset is \"", absl::CHexEscape(gate.dataset),
                                                   "\"; give a dataset's id or sha256:<digest>"));
  }
  if (better != "lower" && better != "higher") {
    return BadYaml(map.At("better"), absl::StrCat("better is \"", absl::CHexEscape(better),
                                                  "\"; known are lower, higher"));
  }
  gate.higher_is_better = better == "higher";
  const absl::Status alias = CheckAliasId(gate.alias);
  if (!alias.ok()) return BadYaml(map.At("alias"), StdView(alias.message()));
  return gate;
}

// The newest evidence that has the gate's number.
const Evaluation* Find(const std::vector<Evaluation>& evidence, const Gate& gate) {
  for (const Evaluation& one : evidence) {
    if (one.dataset_digest == gate.dataset_digest() && one.metrics.contains(gate.metric)) {
      return &one;
    }
  }
  return nullptr;
}

// The newest of those that may be compared with `candidate`.
const Evaluation* FindComparable(const std::vector<Evaluation>& evidence, const Gate& gate,
                                 const Evaluation& candidate) {
  for (const Evaluation& one : evidence) {
    if (one.dataset_digest == candidate.dataset_digest && one.task == candidate.task &&
        one.tokenizer_digest == candidate.tokenizer_digest &&
        one.template_digest == candidate.template_digest && one.metrics.contains(gate.metric)) {
      return &one;
    }
  }
  return nullptr;
}

std::string What(const Gate& gate, const Evaluation* evidence) {
  const std::string shown = evidence != nullptr && !evidence->dataset.empty()
                                ? evidence->dataset
                                : absl::StrCat("dataset ", gate.dataset.substr(0, 19));
  return absl::StrCat(gate.metric, " on ", shown);
}

std::string NoEvidence(const std::string& version, const Gate& gate, std::string_view why) {
  return absl::StrCat(version, " has no ", AbslView(why), What(gate, nullptr),
                      "; evaluate it first (floe eval run)");
}

void JudgeGate(const Gate& gate, const PromotionFacts& facts, std::vector<std::string>& failures) {
  const Evaluation* candidate = Find(facts.candidate_evidence, gate);
  if (candidate == nullptr) {
    failures.push_back(NoEvidence(facts.candidate, gate, ""));
    return;
  }
  const double value = candidate->metrics.at(gate.metric);
  if (gate.at_least && value < *gate.at_least) {
    failures.push_back(absl::StrFormat("%s is %.6g for %s; at least %.6g is asked",
                                       What(gate, candidate), value, facts.candidate,
                                       *gate.at_least));
  }
  if (gate.at_most && value > *gate.at_most) {
    failures.push_back(absl::StrFormat("%s is %.6g for %s; at most %.6g is allowed",
                                       What(gate, candidate), value, facts.candidate,
                                       *gate.at_most));
  }
  if (facts.incumbent.empty()) return;
  const Evaluation* incumbent = FindComparable(facts.incumbent_evidence, gate, *candidate);
  if (incumbent == nullptr) {
    failures.push_back(NoEvidence(facts.incumbent, gate, "comparable "));
    return;
  }
  const double before = incumbent->metrics.at(gate.metric);
  const double worse = gate.higher_is_better ? before - value : value - before;
  if (worse > gate.may_worsen_by) {
    failures.push_back(
        absl::StrFormat("%s is %.6g for %s and %.6g for %s: worse by %.6g, where %.6g is allowed",
                        What(gate, candidate), value, facts.candidate, before, facts.incumbent,
                        worse, gate.may_worsen_by));
  }
}

}  // namespace

std::string Gate::dataset_digest() const {
  return dataset.starts_with(kDigestMark) ? dataset.substr(kDigestMark.size()) : "";
}

absl::StatusOr<std::vector<Gate>> ParseGates(std::string_view yaml) {
  std::vector<Gate> gates;
  FLOE_RETURN_IF_ERROR(ReadYaml(yaml, kMaxPolicyBytes, [&](const YAML::Node& root) -> absl::Status {
    YamlMap map("the policy", root);
    const YAML::Node list = map.Child("gates", Presence::kRequired);
    FLOE_RETURN_IF_ERROR(map.Finish());
    if (!list.IsSequence() || list.size() == 0 || list.size() > kMaxGates) {
      return BadYaml(list, absl::StrCat("gates must be a list of 1 to ", kMaxGates));
    }
    for (const YAML::Node& node : list) {
      FLOE_ASSIGN_OR_RETURN(Gate gate, ReadGate(node));
      gates.push_back(std::move(gate));
    }
    return absl::OkStatus();
  }));
  return gates;
}

std::string GatesJson(const std::vector<Gate>& gates) {
  auto list = nlohmann::ordered_json::array();
  for (const Gate& gate : gates) {
    nlohmann::ordered_json json = {{"metric", gate.metric},
                                   {"dataset", gate.dataset},
                                   {"better", gate.higher_is_better ? "higher" : "lower"},
                                   {"may_worsen_by", gate.may_worsen_by},
                                   {"alias", gate.alias}};
    if (gate.at_least) json["at_least"] = *gate.at_least;
    if (gate.at_most) json["at_most"] = *gate.at_most;
    list.push_back(std::move(json));
  }
  return nlohmann::ordered_json{{"gates", list}}.dump();
}

std::vector<std::string> FailingGates(const std::vector<Gate>& gates, const PromotionFacts& facts) {
  std::vector<std::string> failures;
  for (const Gate& gate : gates) {
    if (gate.alias == facts.alias) JudgeGate(gate, facts, failures);
  }
  return failures;
}

}  // namespace floe::registry
