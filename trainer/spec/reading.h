// Keys that the specifications of several kinds of training share, read in one way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "nlohmann/json_fwd.hpp"

#include "base/yaml/yaml_map.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::trainer {

inline constexpr size_t kMaxSpecBytes = 1 << 16;
inline constexpr size_t kMaxPromptBytes = 4096;
inline constexpr int64_t kMaxCount = 1'000'000'000;

// `kind`, which a file may carry so that it says itself what it is: none other than `expected`.
void ReadKind(YamlMap& map, std::string_view expected);

// The id of a model that is to be published, under `model`.
void ReadModelId(YamlMap& map, std::string& model);

// An id or teams/<team>/<collection>/<id>, with or without @sha256:<digest>. What is none leaves
// `value` empty.
bool IsReference(std::string_view text, std::string_view collection);
void ReadReference(YamlMap& map, std::string_view key, std::string_view collection,
                   std::string& value, Presence presence = Presence::kRequired);

// What floe.registry.v1 ResolveModelVersion takes, and a version's resource name with or without
// its digest.
bool IsModelReference(std::string_view text);

// Steps, sizes, rates, intervals and seed of `train`; what only one kind has is read beside it.
void ReadTrainKeys(YamlMap& map, TrainSettings& train, std::string& schedule);
// What they must be to one another: mistakes of the map, at their lines. Fills in train.schedule.
// Once map.Finish() was OK.
void CheckTrainKeys(YamlMap& map, TrainSettings& train, const std::string& schedule);

// The same keys as JSON.
nlohmann::ordered_json TrainJson(const TrainSettings& train);

}  // namespace floe::trainer
