// Evidence: what a frozen model scored on a dataset, bound to the digests of all that was measured.
// Immutable; its name follows from its content.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace floe::registry {

struct Evaluation {
  std::string team;
  std::string id;                // EvaluationId
  std::string model_digest;      // of the checkpoint's manifest
  std::string tokenizer_digest;  // of tokenizer.json
  std::string template_digest;   // of the chat template; empty for plain text
  std::string dataset_digest;
  std::string task;  // text, chat, preference, choices, inspect
  std::map<std::string, double> metrics;
  std::string report;  // JSON: what is no plain number; empty: nothing more
  int64_t examples = 0;
  int64_t tokens = 0;
  std::string job;
  std::string creator;
  absl::Time create_time;
  std::string model_version;  // resource names, looked up when it is read; empty: not the team's
  std::string dataset;
};

// INVALID_ARGUMENT names the field that is wrong.
absl::Status Validate(const Evaluation& evaluation);

// `ev-` and the beginning of the SHA-256 of digests, task, metrics, counts and report: the same
// evidence has one name.
std::string EvaluationId(const Evaluation& evaluation);

}  // namespace floe::registry
