// The model that floe-bench-inference serves, and the two kinds of work that it is timed at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "inference/engine/engine.h"
#include "model/blueprint.h"

namespace floe::bench {

inline constexpr int kPromptTokens = 128;
inline constexpr int kDecodeSteps = 64;

// 29 million parameters in the native layout: too many for a cache, few enough for a short run.
model::Blueprint BenchBlueprint();

// A checkpoint of it with random weights, the same on every run.
absl::Status WriteRandomCheckpoint(const std::filesystem::path& folder);

// Token `position` of the prompt of sequence `sequence`.
int32_t PromptToken(int sequence, int position);

// Seconds for `batch` prompts, in steps as full as the engine takes them.
absl::StatusOr<double> PrefillSeconds(inference::Engine& engine, int batch);

struct Decoded {
  double seconds = 0;           // of kDecodeSteps steps
  std::vector<int32_t> greedy;  // what the first sequence says
};
absl::StatusOr<Decoded> Decode(inference::Engine& engine, int batch);

}  // namespace floe::bench
