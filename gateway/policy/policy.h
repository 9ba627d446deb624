// What may be asked for, by whom, and what is looked for in the texts: one YAML file, one version.
//
//   version: "2026-11-24"          # for people; the file's SHA-256 is the version that counts
//   defaults:                      # for every team
//     models: ["*"]                # names or name@alias; `*` at the end stands for anything
//     tiers: [flex, default, priority]
//     max_output_tokens: 4096
//     limits: {requests_per_minute: 600, tokens_per_minute: 200000, concurrent: 32}
//     when_redis_is_away: allow    # or refuse: what limits do while they cannot be counted
//     cache: {enabled: true, ttl_seconds: 3600, sampled: false}
//     audit_text: false            # whether audit records hold prompts and answers
//     workflow: {max_steps: 50, max_cost: "1.00"}   # USD a workflow; "0" is no budget of its own
//     retrieval: {collection: handbook, top_k: 4}   # for requests that bring none
//     input:  [{detector: card, action: mask}, {detector: injection, action: block}]
//     output: [{words: [blue falcon], name: projects, action: block},
//              {pattern: 'EMP-[0-9]{6}', name: employee, max_length: 10, action: mask}]
//   teams:
//     nlp: {tiers: [flex]}         # each key given here replaces the default; rules are added
//
// All keys are optional. Source of the limits' semantics: gateway/limits.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/ask.h"
#include "gateway/guardrails/rules.h"

namespace floe::gateway::policy {

struct Limits {
  int64_t requests_per_minute = 0;  // a key; 0 is no limit
  int64_t tokens_per_minute = 0;    // a key: prompt and most new ones, corrected at the end
  int64_t concurrent = 0;           // a key
  bool operator==(const Limits&) const = default;
};

struct DefaultRetrieval {
  std::string collection;  // empty: none
  int64_t top_k = RetrievalAsk::kDefaultTopK;
  bool operator==(const DefaultRetrieval&) const = default;
};

struct TeamPolicy {
  std::vector<std::string> models = {"*"};
  std::vector<std::string> tiers = {"flex", "default", "priority"};
  int64_t max_output_tokens = 0;  // 0 is no limit but the model's context
  Limits limits;
  bool allow_without_redis = true;
  bool cache = true;
  bool cache_sampled = false;  // also what is sampled without a seed: a repetition gives the same
  absl::Duration cache_ttl = absl::Hours(1);
  bool audit_text = false;
  int64_t max_workflow_steps = 0;  // 0 is no limit
  std::string max_workflow_cost;   // decimal US dollars; empty or 0 is no limit
  DefaultRetrieval retrieval;
  guardrails::RuleSet input{{}};
  guardrails::RuleSet output{{}};

  bool AllowsModel(std::string_view reference) const;
  bool AllowsTier(std::string_view tier) const;
};

// Immutable; shared between requests and threads: a request keeps the one it began with.
class Policy {
 public:
  // INVALID_ARGUMENT names the line and what is wrong there: unknown keys, wrong types, actions,
  // detectors and patterns that cannot work. `text` may be empty: everything is allowed.
  static absl::StatusOr<std::shared_ptr<const Policy>> Parse(std::string_view text);

  const TeamPolicy& For(const std::string& team) const;
  // SHA-256 of the text; part of every audit record and cache key.
  const std::string& digest() const { return digest_; }
  // What people call it.
  const std::string& version() const { return version_; }

 private:
  Policy() = default;
  std::string digest_;
  std::string version_;
  std::shared_ptr<const TeamPolicy> defaults_;  // shared by teams without an entry of their own
  std::map<std::string, std::shared_ptr<const TeamPolicy>> teams_;

  friend class PolicyReader;
};

}  // namespace floe::gateway::policy
