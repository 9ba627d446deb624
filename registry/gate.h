// Gates: what the evidence must show before an alias moves. A policy is written in YAML, one a
// model:
//
//   gates:
//     - metric: answer_loss
//       dataset: definitions-held-out    # an id, pinned when it is set; or sha256:<digest>
//       better: lower                    # or higher
//       may_worsen_by: 0                 # than the incumbent, in the metric's own unit
//       at_most: 4.0                     # or at_least; whatever the incumbent has
//       alias: production                # which alias it guards
//
// metric, dataset and better are required. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "registry/evaluation.h"
#include "registry/names.h"

namespace floe::registry {

struct Gate {
  std::string alias = kDefaultAlias;
  std::string dataset;  // sha256:<digest> once pinned
  std::string metric;
  bool higher_is_better = false;
  double may_worsen_by = 0;
  std::optional<double> at_least;
  std::optional<double> at_most;
  bool operator==(const Gate&) const = default;

  std::string dataset_digest() const;  // empty when it is not pinned
};

struct GatePolicy {
  OwnedName model;
  std::string text;         // as it was written; empty: no policy
  std::vector<Gate> gates;  // pinned
  std::string updater;
  absl::Time update_time;
};

// INVALID_ARGUMENT names the line and what is wrong there.
absl::StatusOr<std::vector<Gate>> ParseGates(std::string_view yaml);

// As text that ParseGates reads back to equal values.
std::string GatesJson(const std::vector<Gate>& gates);

// What is known when an alias is to move. Evidence is newest first.
struct PromotionFacts {
  std::string alias;
  std::string candidate;  // for people: lexicon@3
  std::vector<Evaluation> candidate_evidence;
  std::string incumbent;  // empty: the alias is new
  std::vector<Evaluation> incumbent_evidence;
};

// What fails, a sentence with its numbers each; empty when the alias may move. Numbers are compared
// only when tokenizer, template and task were the same.
std::vector<std::string> FailingGates(const std::vector<Gate>& gates, const PromotionFacts& facts);

}  // namespace floe::registry
