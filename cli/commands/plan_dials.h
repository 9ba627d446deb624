// The blueprint that `floe plan` is asked about: a preset, a job file, dials, or a wanted size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/door/session.h"
#include <CLI/App.hpp>

#include "model/plan.h"

namespace floe::cli {

struct DialFlags {
  std::string preset;
  std::string job;
  std::string target;  // a number of parameters
  std::string family;
  std::optional<int64_t> vocab_size, hidden_size, num_layers, num_heads, num_kv_heads, head_dim,
      ffn_hidden, context;
  std::string ffn;
  std::optional<bool> tie_embeddings;
};

void AddDialOptions(CLI::App& command, DialFlags& flags);

struct PlannedDials {
  model::Blueprint blueprint;
  int64_t target = 0;                     // parameters that were wanted; 0: none
  std::vector<model::Blueprint> nearest;  // to those, best first; the blueprint is the first
  // What a job file says of its run; nothing where there is none.
  std::optional<model::TrainingMemoryOptions> run;
  int64_t tokens = 0;
};

// INVALID_ARGUMENT names the flag or the dial that is wrong. `offline`: the vocabulary of a job
// file's tokenizer is not asked of the fleet.
absl::StatusOr<PlannedDials> DialsOf(Session& session, const DialFlags& flags, bool offline);

}  // namespace floe::cli
