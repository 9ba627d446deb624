// The YAML of a policy into its values.
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "base/yaml/yaml_map.h"
#include "gateway/allowed/allowed.h"
#include "gateway/policy/policy.h"

namespace floe::gateway::policy {

using guardrails::Detector;
using guardrails::Rule;

namespace {

constexpr size_t kMaxPolicyBytes = 1 << 20;
constexpr int64_t kMaxLimit = 1'000'000'000'000;

absl::StatusOr<std::vector<std::string>> ReadList(const YAML::Node& node, std::string_view what) {
  if (!node.IsSequence()) return BadYaml(node, absl::StrCat(AbslView(what), " must be a list"));
  std::vector<std::string> list;
  for (const YAML::Node& entry : node) {
    if (!entry.IsScalar()) {
      return BadYaml(entry, absl::StrCat("each of ", AbslView(what), " must be a string"));
    }
    list.push_back(entry.Scalar());
  }
  return list;
}

absl::StatusOr<Detector> ReadDetector(YamlMap& map, const YAML::Node& node) {
  std::string detector;
  std::string pattern;
  std::string name;
  int64_t max_length = 256;
  map.Read("detector", detector);
  map.Read("pattern", pattern);
  map.Read("name", name);
  map.Read("max_length", max_length, {.least = 1, .most = 4096});
  const YAML::Node words = map.Child("words");
  FLOE_RETURN_IF_ERROR(map.Finish());
  if (map.Has("detector") + map.Has("pattern") + map.Has("words") != 1) {
    return BadYaml(node, "a rule has one of detector, pattern or words");
  }
  if (map.Has("detector")) return guardrails::BuiltInDetector(detector);
  if (name.empty()) {
    return BadYaml(node, "a rule with a pattern or words needs a name: it stands for the match");
  }
  if (!IsResourceId(name)) {
    return BadYaml(map.At("name"), absl::StrCat("name is \"", absl::CHexEscape(name),
                                                "\"; use 1 to 63 of a-z 0-9 - _ ."));
  }
  if (map.Has("words")) {
    FLOE_ASSIGN_OR_RETURN(const auto list, ReadList(words, "words"));
    return guardrails::WordListDetector(name, list);
  }
  return Detector::Create(
      {.name = name, .pattern = pattern, .max_length = static_cast<size_t>(max_length)});
}

absl::StatusOr<Rule> ReadRule(const YAML::Node& node) {
  YamlMap map("a rule", node);
  std::string action = "block";
  map.Read("action", action, Presence::kRequired);
  absl::StatusOr<Detector> detector = ReadDetector(map, node);
  if (!detector.ok()) {
    // Mistakes of a detector do not know their line.
    const std::string_view message = StdView(detector.status().message());
    return message.starts_with("line ") ? detector.status() : BadYaml(node, message);
  }
  const auto known = guardrails::ParseAction(action);
  if (!known.ok()) return BadYaml(map.At("action"), StdView(known.status().message()));
  return Rule{*std::move(detector), *known};
}

}  // namespace

class PolicyReader {
 public:
  static absl::Status Read(const YAML::Node& root, Policy& policy) {
    Draft defaults;
    if (root.IsNull()) {
      FLOE_ASSIGN_OR_RETURN(policy.defaults_, Build({&defaults}));
      return absl::OkStatus();
    }
    YamlMap map("the policy", root);
    map.Read("version", policy.version_);
    const YAML::Node default_node = map.Child("defaults");
    const YAML::Node teams = map.Child("teams");
    FLOE_RETURN_IF_ERROR(map.Finish());
    if (default_node.IsDefined()) {
      FLOE_RETURN_IF_ERROR(ReadTeam("defaults", default_node, defaults));
    }
    FLOE_ASSIGN_OR_RETURN(policy.defaults_, Build({&defaults}));
    if (!teams.IsDefined()) return absl::OkStatus();
    if (!teams.IsMap()) return BadYaml(teams, "teams must be a map from team to its policy");
    for (const auto& entry : teams) {
      const std::string team = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (!IsResourceId(team)) return BadYaml(entry.first, "a team is 1 to 63 of a-z 0-9 - _ .");
      Draft own;
      own.values = defaults.values;
      FLOE_RETURN_IF_ERROR(ReadTeam("team " + team, entry.second, own));
      FLOE_ASSIGN_OR_RETURN(auto built, Build({&defaults, &own}));
      if (!policy.teams_.emplace(team, std::move(built)).second) {
        return BadYaml(entry.first, absl::StrCat("team ", team, " is given twice"));
      }
    }
    return absl::OkStatus();
  }

 private:
  struct Values {
    std::vector<std::string> models = {"*"};
    std::vector<std::string> tiers{kTierNames.begin(), kTierNames.end()};
    int64_t max_output_tokens = 0;
    Limits limits;
    std::string when_redis_is_away = "allow";
    bool cache = true;
    bool cache_sampled = false;
    int64_t cache_ttl_seconds = 3600;
    bool audit_text = false;
    int64_t max_workflow_steps = 0;
    std::string max_workflow_cost;
    DefaultRetrieval retrieval;
  };
  // Detectors are not copied: rules stay nodes until they are built.
  struct Draft {
    Values values;
    YAML::Node input;
    YAML::Node output;
  };

  static absl::Status ReadTeam(const std::string& name, const YAML::Node& node, Draft& draft) {
    YamlMap map(name, node);
    Values& values = draft.values;
    const IntRange limit{.least = 0, .most = kMaxLimit};
    map.Read("max_output_tokens", values.max_output_tokens, limit);
    map.Read("when_redis_is_away", values.when_redis_is_away);
    map.Read("audit_text", values.audit_text);
    const YAML::Node models = map.Child("models");
    const YAML::Node tiers = map.Child("tiers");
    const YAML::Node limits = map.Child("limits");
    const YAML::Node cache = map.Child("cache");
    const YAML::Node workflow = map.Child("workflow");
    const YAML::Node retrieval = map.Child("retrieval");
    draft.input.reset(map.Child("input"));
    draft.output.reset(map.Child("output"));
    FLOE_RETURN_IF_ERROR(map.Finish());
    if (values.when_redis_is_away != "allow" && values.when_redis_is_away != "refuse") {
      return BadYaml(map.At("when_redis_is_away"), "when_redis_is_away must be allow or refuse");
    }
    if (models.IsDefined()) {
      FLOE_ASSIGN_OR_RETURN(values.models, ReadList(models, "models"));
    }
    if (tiers.IsDefined()) FLOE_RETURN_IF_ERROR(ReadTiers(tiers, values.tiers));
    if (limits.IsDefined()) {
      YamlMap inner("limits", limits);
      inner.Read("requests_per_minute", values.limits.requests_per_minute, limit);
      inner.Read("tokens_per_minute", values.limits.tokens_per_minute, limit);
      inner.Read("concurrent", values.limits.concurrent, limit);
      FLOE_RETURN_IF_ERROR(inner.Finish());
    }
    if (cache.IsDefined()) {
      YamlMap inner("cache", cache);
      inner.Read("enabled", values.cache);
      inner.Read("sampled", values.cache_sampled);
      inner.Read("ttl_seconds", values.cache_ttl_seconds, {.least = 1, .most = 30 * 86400});
      FLOE_RETURN_IF_ERROR(inner.Finish());
    }
    if (workflow.IsDefined()) FLOE_RETURN_IF_ERROR(ReadWorkflow(workflow, values));
    if (retrieval.IsDefined()) {
      YamlMap inner("retrieval", retrieval);
      inner.Read("collection", values.retrieval.collection, Presence::kRequired);
      inner.Read("top_k", values.retrieval.top_k, {.least = 1, .most = RetrievalAsk::kMaxTopK});
      FLOE_RETURN_IF_ERROR(inner.Finish());
      if (!IsResourceId(values.retrieval.collection)) {
        return BadYaml(inner.At("collection"),
                       "collection must be 1 to 63 of a-z 0-9 - _ . and is the team's own");
      }
    }
    return absl::OkStatus();
  }

  static absl::Status ReadTiers(const YAML::Node& node, std::vector<std::string>& tiers) {
    FLOE_ASSIGN_OR_RETURN(tiers, ReadList(node, "tiers"));
    for (const std::string& tier : tiers) {
      if (!IsTierName(tier)) {
        return BadYaml(node, absl::StrCat("tier \"", absl::CHexEscape(tier),
                                          "\"; there are flex, default and priority"));
      }
    }
    return absl::OkStatus();
  }

  static absl::Status ReadWorkflow(const YAML::Node& node, Values& values) {
    YamlMap map("workflow", node);
    map.Read("max_steps", values.max_workflow_steps, {.least = 0, .most = 1'000'000});
    map.Read("max_cost", values.max_workflow_cost);
    FLOE_RETURN_IF_ERROR(map.Finish());
    if (map.Has("max_cost") && !IsDollarAmount(values.max_workflow_cost)) {
      return BadYaml(map.At("max_cost"),
                     "max_cost must be US dollars with at most 12 decimals, as \"0.25\"");
    }
    return absl::OkStatus();
  }

  static absl::Status AddRules(const YAML::Node& node, std::string_view what,
                               std::vector<Rule>& rules) {
    if (!node.IsDefined() || node.IsNull()) return absl::OkStatus();
    if (!node.IsSequence()) {
      return BadYaml(node, absl::StrCat(AbslView(what), " must be a list of rules"));
    }
    for (const YAML::Node& entry : node) {
      FLOE_ASSIGN_OR_RETURN(Rule rule, ReadRule(entry));
      rules.push_back(std::move(rule));
    }
    return absl::OkStatus();
  }

  // The last draft's values, and the rules of all.
  static absl::StatusOr<std::shared_ptr<const TeamPolicy>> Build(
      const std::vector<const Draft*>& drafts) {
    auto built = std::make_shared<TeamPolicy>();
    const Values& values = drafts.back()->values;
    built->models = values.models;
    built->tiers = values.tiers;
    built->max_output_tokens = values.max_output_tokens;
    built->limits = values.limits;
    built->allow_without_redis = values.when_redis_is_away == "allow";
    built->cache = values.cache;
    built->cache_sampled = values.cache_sampled;
    built->cache_ttl = absl::Seconds(values.cache_ttl_seconds);
    built->audit_text = values.audit_text;
    built->max_workflow_steps = values.max_workflow_steps;
    built->max_workflow_cost = values.max_workflow_cost;
    built->retrieval = values.retrieval;
    std::vector<Rule> input;
    std::vector<Rule> output;
    for (const Draft* draft : drafts) {
      FLOE_RETURN_IF_ERROR(AddRules(draft->input, "input", input));
      FLOE_RETURN_IF_ERROR(AddRules(draft->output, "output", output));
    }
    built->input = guardrails::RuleSet(std::move(input));
    built->output = guardrails::RuleSet(std::move(output));
    return std::shared_ptr<const TeamPolicy>(std::move(built));
  }
};

absl::StatusOr<std::shared_ptr<const Policy>> Policy::Parse(std::string_view text) {
  std::shared_ptr<Policy> policy(new Policy);
  policy->digest_ = Sha256::Hex(text);
  FLOE_RETURN_IF_ERROR(ReadYaml(text, kMaxPolicyBytes, [&](const YAML::Node& root) {
    return PolicyReader::Read(root, *policy);
  }));
  return std::shared_ptr<const Policy>(std::move(policy));
}

}  // namespace floe::gateway::policy
