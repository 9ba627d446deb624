#include "trainer/alignment/spec/align_spec.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "base/view.h"
#include "base/yaml/yaml_map.h"
#include "trainer/spec/reading.h"

namespace floe::trainer {
namespace {

constexpr int64_t kMaxLength = 1 << 24;

// Alignment is thin: lower rates, no decay, every answer counts.
TrainSettings Defaults(AlignKind kind) {
  TrainSettings train;
  train.learning_rate = kind == AlignKind::kSft ? 3e-4 : 5e-5;
  train.min_learning_rate = train.learning_rate / 10;
  train.weight_decay = 0;
  train.warmup_steps = 10;
  train.held_out_fraction = 0;
  train.held_out_tokens = 0;
  train.sample_prompt = "";
  return train;
}

absl::StatusOr<TrainSettings> ReadTrain(AlignKind kind, const YAML::Node& node) {
  YamlMap map("train", node);
  TrainSettings train = Defaults(kind);
  std::string schedule(ScheduleName(train.schedule));
  ReadTrainKeys(map, train, schedule);
  FLOE_RETURN_IF_ERROR(map.Finish());
  if (map.Has("learning_rate") && !map.Has("min_learning_rate")) {
    train.min_learning_rate = train.learning_rate / 10;
  }
  if (!map.Has("warmup_steps")) train.warmup_steps = std::min(train.warmup_steps, train.steps);
  CheckTrainKeys(map, train, schedule);
  FLOE_RETURN_IF_ERROR(map.Finish());
  return train;
}

absl::StatusOr<PreferenceLossOptions> ReadLoss(const YAML::Node& node) {
  PreferenceLossOptions loss;
  if (!node.IsDefined()) return loss;
  YamlMap map("loss", node);
  std::string kind(PreferenceLossName(loss.kind));
  map.Read("kind", kind);
  map.Read("beta", loss.beta, {.least = 0, .most = 1e3, .above_least = true});
  map.Read("label_smoothing", loss.label_smoothing, {.least = 0, .most = 0.5, .below_most = true});
  map.Read("length_normalized", loss.length_normalized);
  FLOE_RETURN_IF_ERROR(map.Finish());
  const auto known = ParsePreferenceLoss(kind);
  if (!known.ok()) return BadYaml(map.At("kind"), StdView(known.status().message()));
  loss.kind = *known;
  const absl::Status valid = Validate(loss);
  if (!valid.ok()) return BadYaml(map.At("label_smoothing"), StdView(valid.message()));
  return loss;
}

absl::Status ReadSpec(AlignKind kind, const YAML::Node& root, AlignSpec& spec) {
  YamlMap map("the specification", root);
  std::string too_long = "refuse";
  ReadKind(map, kind == AlignKind::kSft ? kSftJobKind : kDpoJobKind);
  ReadModelId(map, spec.model);
  map.Read("base", spec.base, Presence::kRequired);
  if (map.At("base").IsScalar() && !IsModelReference(spec.base)) {
    map.Fail(BadYaml(map.At("base"),
                     absl::StrCat("base is \"", absl::CHexEscape(spec.base),
                                  "\"; write <model>@<alias>, <model>@<number>, <model>@latest or "
                                  "sha256:<digest>")));
    spec.base.clear();
  }
  ReadReference(map, "dataset", "datasets", spec.dataset);
  ReadReference(map, "held_out", "datasets", spec.held_out, Presence::kOptional);
  map.Read("held_out_examples", spec.held_out_examples, {.least = 1, .most = kMaxCount});
  map.Read("sequence_length", spec.sequence_length, {.least = 0, .most = kMaxLength});
  map.Read("too_long", too_long);
  map.Read("samples", spec.samples, {.least = 0, .most = 100});
  YAML::Node loss(YAML::NodeType::Undefined);
  if (kind == AlignKind::kDpo) loss.reset(map.Child("loss"));
  const YAML::Node train = map.Child("train", Presence::kRequired);
  if (too_long != "refuse" && too_long != "skip") {
    map.Fail(BadYaml(map.At("too_long"), absl::StrCat("too_long is \"", absl::CHexEscape(too_long),
                                                      "\"; known are refuse, skip")));
  }
  spec.skip_too_long = too_long == "skip";
  auto loss_settings = ReadLoss(loss);
  // A part that is missing is a mistake of the map above it.
  absl::StatusOr<TrainSettings> settings = spec.train;
  if (train.IsDefined()) settings = ReadTrain(kind, train);
  FLOE_RETURN_IF_ERROR(JoinMistakes({map.Finish(), loss_settings.status(), settings.status()}));
  spec.loss = *std::move(loss_settings);
  spec.train = *std::move(settings);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadAlignSpec(AlignKind kind, std::string_view text, AlignSpec& spec) {
  return ReadYaml(text, kMaxSpecBytes,
                  [&](const YAML::Node& root) { return ReadSpec(kind, root, spec); });
}

absl::StatusOr<AlignSpec> ParseAlignSpec(AlignKind kind, std::string_view text) {
  AlignSpec spec;
  FLOE_RETURN_IF_ERROR(ReadAlignSpec(kind, text, spec));
  return spec;
}

std::string AlignSpecJson(AlignKind kind, const AlignSpec& spec) {
  nlohmann::ordered_json json;
  json["model"] = spec.model;
  json["base"] = spec.base;
  json["dataset"] = spec.dataset;
  if (!spec.held_out.empty()) json["held_out"] = spec.held_out;
  json["held_out_examples"] = spec.held_out_examples;
  json["sequence_length"] = spec.sequence_length;
  json["too_long"] = spec.skip_too_long ? "skip" : "refuse";
  json["samples"] = spec.samples;
  if (kind == AlignKind::kDpo) {
    json["loss"] = {{"kind", std::string(PreferenceLossName(spec.loss.kind))},
                    {"beta", spec.loss.beta},
                    {"label_smoothing", spec.loss.label_smoothing},
                    {"length_normalized", spec.loss.length_normalized}};
  }
  json["train"] = TrainJson(spec.train);
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace floe::trainer
