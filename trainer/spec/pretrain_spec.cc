#include "trainer/spec/pretrain_spec.h"

#include <type_traits>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

#include "base/status_macros.h"
#include "base/view.h"
#include "base/yaml/yaml_map.h"
#include "trainer/spec/presets.h"
#include "trainer/spec/reading.h"

namespace floe::trainer {
namespace {

constexpr int64_t kMaxDial = 1 << 24;
constexpr double kGpt2NormEps = 1e-5;  // as its published checkpoints have it

// Dials that do not fit one another, at the line of the dial to change.
absl::Status CheckDials(const YamlMap& map, const model::Blueprint& dials) {
  if (dials.num_heads % dials.num_kv_heads != 0) {
    return BadYaml(map.At("num_kv_heads"),
                   absl::StrCat("num_kv_heads is ", dials.num_kv_heads,
                                ", which does not divide num_heads ", dials.num_heads));
  }
  if (dials.head_dim % 2 != 0) {
    return BadYaml(map.At("head_dim"), absl::StrCat("head_dim is ", dials.head_dim,
                                                    "; it must be even: RoPE turns pairs"));
  }
  // The rest of the blueprint's own rules, with a stand-in for the vocabulary.
  model::Blueprint with_vocabulary = dials;
  with_vocabulary.vocab_size = kMaxDial;
  const absl::Status valid = with_vocabulary.Validate();
  if (!valid.ok()) {
    return BadYaml(map.At("family"), absl::StrCat("blueprint: ", valid.message()));
  }
  return absl::OkStatus();
}

// Into `dials`, whose context is read.
absl::Status ReadRopeScaling(YamlMap& blueprint, model::Blueprint& dials) {
  const YAML::Node node = blueprint.Child("rope_scaling");
  if (!node.IsDefined()) return absl::OkStatus();
  YamlMap map("rope_scaling", node);
  std::string type;
  map.Read("rope_type", type, Presence::kRequired);
  const auto kind = model::ParseRopeScaling(type);
  if (!kind.ok()) {
    return BadYaml(map.At("rope_type"), absl::StrCat("rope_scaling.", kind.status().message()));
  }
  model::RopeScaling& scaling = dials.rope_scaling = {.kind = *kind};
  model::VisitDials(scaling, [&](const char* name, auto& value) {
    if constexpr (std::is_same_v<decltype(value), int64_t&>) {
      map.Read(name, value, {.least = 1, .most = kMaxDial});
    } else {
      map.Read(name, value, {.least = 0, .most = 1e12});
    }
    if (map.Has(name)) return;
    map.Fail(BadYaml(node, absl::StrCat("rope_scaling.", name, " is missing")));
  });
  FLOE_RETURN_IF_ERROR(map.Finish());
  for (const std::string& mistake : model::MistakesOf(scaling, dials.context)) {
    map.Fail(BadYaml(node, mistake));
  }
  return map.Finish();
}

// `preset` may be null: then the file gives the shape.
absl::StatusOr<model::Blueprint> ReadBlueprint(const YAML::Node& node, const Preset* preset) {
  YamlMap map("blueprint", node);
  model::Blueprint dials;
  if (preset != nullptr) dials = preset->blueprint;
  const Presence shape = preset != nullptr ? Presence::kOptional : Presence::kRequired;
  std::string family = "qwen3", ffn = "gated";
  const IntRange dial{.least = 1, .most = kMaxDial};
  map.Read("family", family);
  map.Read("hidden_size", dials.hidden_size, dial, shape);
  map.Read("num_layers", dials.num_layers, {.least = 1, .most = 1024}, shape);
  map.Read("num_heads", dials.num_heads, dial, shape);
  map.Read("num_kv_heads", dials.num_kv_heads, dial);
  map.Read("head_dim", dials.head_dim, dial);
  map.Read("ffn_hidden", dials.ffn_hidden, dial, shape);
  map.Read("ffn", ffn);
  map.Read("context", dials.context, dial, shape);
  map.Read("rope_theta", dials.rope_theta, {.least = 1, .most = 1e12});
  map.Read("norm_eps", dials.norm_eps, {.least = 0, .most = 1e-2, .above_least = true});
  map.Read("tie_embeddings", dials.tie_embeddings);
  const absl::Status scaling = ReadRopeScaling(map, dials);
  FLOE_RETURN_IF_ERROR(JoinMistakes({map.Finish(), scaling}));

  auto known = model::ParseFamily(family);
  if (!known.ok()) return BadYaml(map.At("family"), StdView(known.status().message()));
  dials.family = *known;
  if (ffn != "gated" && ffn != "plain") {
    return BadYaml(map.At("ffn"),
                   absl::StrCat("ffn is \"", absl::CHexEscape(ffn), "\"; known are gated, plain"));
  }
  const bool gpt2 = dials.family == model::Family::kGpt2;
  if (gpt2 && ffn == "gated" && map.Has("ffn")) {
    return BadYaml(map.At("ffn"), "ffn is gated: family gpt2 needs plain");
  }
  dials.ffn = gpt2 || ffn == "plain" ? model::FfnKind::kPlain : model::FfnKind::kGated;
  if (gpt2 && !map.Has("norm_eps")) dials.norm_eps = kGpt2NormEps;
  if (dials.num_kv_heads == 0) dials.num_kv_heads = dials.num_heads;
  if (dials.head_dim == 0) {
    if (dials.hidden_size % dials.num_heads != 0) {
      return BadYaml(
          map.At("num_heads"),
          absl::StrCat("num_heads is ", dials.num_heads, ", which does not divide hidden_size ",
                       dials.hidden_size, "; change one of them or give head_dim"));
    }
    dials.head_dim = dials.hidden_size / dials.num_heads;
  }
  FLOE_RETURN_IF_ERROR(CheckDials(map, dials));
  return dials;
}

// The default recipe: Muon inside the layers, AdamW beside it, warm-up, stable, decay. Its numbers
// are those that bench/train/ measures.
TrainSettings DefaultRecipe() {
  TrainSettings train;
  train.optimizer = OptimizerKind::kMuon;
  train.schedule = ScheduleKind::kWsd;
  train.decay_fraction = 0.5;
  train.learning_rate = 0.004;
  train.min_learning_rate = 0;
  return train;
}

void ReadPrecision(YamlMap& map, PrecisionKind& precision) {
  std::string name(PrecisionName(precision));
  map.Read("precision", name);
  if (name != "f32" && name != "bf16") {
    map.Fail(BadYaml(map.At("precision"), absl::StrCat("precision is \"", absl::CHexEscape(name),
                                                       "\"; known are f32, bf16")));
  }
  precision = name == "bf16" ? PrecisionKind::kBf16 : PrecisionKind::kF32;
}

void ReadDevice(YamlMap& map, DeviceKind& device) {
  std::string name(DeviceKindName(device));
  map.Read("device", name);
  if (name != "cpu" && name != "cuda") {
    map.Fail(BadYaml(map.At("device"), absl::StrCat("device is \"", absl::CHexEscape(name),
                                                    "\"; known are cpu, cuda")));
  }
  device = name == "cuda" ? DeviceKind::kCuda : DeviceKind::kCpu;
}

// `context` 0: not known, the blueprint has mistakes of its own.
absl::StatusOr<TrainSettings> ReadTrain(const YAML::Node& node, int64_t context,
                                        const Preset* preset) {
  YamlMap map("train", node);
  TrainSettings train = DefaultRecipe();
  std::string schedule(ScheduleName(train.schedule));
  train.sequence_length = context;
  if (preset != nullptr) train.batch_size = preset->batch_size;
  ReadTrainKeys(map, train, schedule);
  map.Read("sequence_length", train.sequence_length, {.least = 2, .most = kMaxDial});
  map.Read("held_out_fraction", train.held_out_fraction, {.least = 0, .most = 0.5});
  map.Read("held_out_tokens", train.held_out_tokens, {.least = 1, .most = kMaxCount});
  map.Read("sample_prompt", train.sample_prompt);
  map.Read("document_mask", train.document_mask);
  map.Read("activation_checkpointing", train.activation_checkpointing);
  ReadPrecision(map, train.precision);
  ReadDevice(map, train.device);
  map.Read("processes", train.processes, {.least = 1, .most = 64});
  FLOE_RETURN_IF_ERROR(map.Finish());
  // What is right by itself and not together: all of it too.
  CheckTrainKeys(map, train, schedule);
  if (context > 0 && train.sequence_length > context) {
    map.Fail(BadYaml(map.At("sequence_length"),
                     absl::StrCat("sequence_length is ", train.sequence_length,
                                  ", more than the context ", context)));
  }
  const char* of_held_out = train.early_stopping > 0 ? "early_stopping" : "keep_best";
  if (train.held_out_fraction == 0 && (train.early_stopping > 0 || train.keep_best)) {
    map.Fail(BadYaml(map.At(of_held_out),
                     absl::StrCat(of_held_out,
                                  " goes by the held-out loss, and held_out_fraction is "
                                  "0: raise it")));
  }
  if (train.processes > train.batch_size * train.gradient_accumulation) {
    map.Fail(
        BadYaml(map.At("processes"),
                absl::StrCat("processes is ", train.processes, ", more than the ",
                             train.batch_size * train.gradient_accumulation,
                             " sequences of a step (batch_size times gradient_accumulation)")));
  }
  if (train.sample_prompt.size() > kMaxPromptBytes) {
    map.Fail(BadYaml(map.At("sample_prompt"),
                     absl::StrCat("sample_prompt has ", train.sample_prompt.size(),
                                  " bytes; the limit is ", kMaxPromptBytes)));
  }
  FLOE_RETURN_IF_ERROR(map.Finish());
  return train;
}

// Null without one, and when its name is a mistake.
const Preset* ReadPreset(YamlMap& map) {
  std::string name;
  map.Read("preset", name);
  if (!map.At("preset").IsScalar()) return nullptr;
  const Preset* preset = FindPreset(name);
  if (preset == nullptr) {
    std::vector<std::string> known;
    for (const Preset& one : Presets()) known.emplace_back(one.name);
    map.Fail(BadYaml(map.At("preset"), absl::StrCat("preset is \"", absl::CHexEscape(name),
                                                    "\"; known are ", absl::StrJoin(known, ", "))));
  }
  return preset;
}

absl::Status ReadSpec(const YAML::Node& root, PretrainSpec& spec) {
  YamlMap map("the specification", root);
  ReadKind(map, kPretrainJobKind);
  ReadModelId(map, spec.model);
  ReadReference(map, "dataset", "datasets", spec.dataset);
  ReadReference(map, "tokenizer", "tokenizers", spec.tokenizer);
  const Preset* preset = ReadPreset(map);
  YAML::Node blueprint(YAML::NodeType::Undefined);
  blueprint.reset(
      map.Child("blueprint", map.Has("preset") ? Presence::kOptional : Presence::kRequired));
  if (!blueprint.IsDefined() && preset != nullptr) {
    blueprint.reset(YAML::Node(YAML::NodeType::Map));
  }
  const YAML::Node train = map.Child("train", Presence::kRequired);
  // A part that is missing is a mistake of the map above it.
  absl::StatusOr<model::Blueprint> dials = spec.blueprint;
  if (blueprint.IsDefined()) dials = ReadBlueprint(blueprint, preset);
  absl::StatusOr<TrainSettings> settings = spec.train;
  if (train.IsDefined()) settings = ReadTrain(train, dials.ok() ? dials->context : 0, preset);
  FLOE_RETURN_IF_ERROR(JoinMistakes({map.Finish(), dials.status(), settings.status()}));
  spec.blueprint = *std::move(dials);
  spec.train = *std::move(settings);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadPretrainSpec(std::string_view text, PretrainSpec& spec) {
  return ReadYaml(text, kMaxSpecBytes,
                  [&](const YAML::Node& root) { return ReadSpec(root, spec); });
}

absl::StatusOr<PretrainSpec> ParsePretrainSpec(std::string_view text) {
  PretrainSpec spec;
  FLOE_RETURN_IF_ERROR(ReadPretrainSpec(text, spec));
  return spec;
}

std::string PretrainSpecJson(const PretrainSpec& spec) {
  const model::Blueprint& dials = spec.blueprint;
  const TrainSettings& train = spec.train;
  nlohmann::ordered_json json;
  json["model"] = spec.model;
  json["dataset"] = spec.dataset;
  json["tokenizer"] = spec.tokenizer;
  json["blueprint"] = {{"family", std::string(model::FamilyName(dials.family))},
                       {"hidden_size", dials.hidden_size},
                       {"num_layers", dials.num_layers},
                       {"num_heads", dials.num_heads},
                       {"num_kv_heads", dials.num_kv_heads},
                       {"head_dim", dials.head_dim},
                       {"ffn_hidden", dials.ffn_hidden},
                       {"ffn", dials.ffn == model::FfnKind::kPlain ? "plain" : "gated"},
                       {"context", dials.context},
                       {"rope_theta", dials.rope_theta},
                       {"norm_eps", dials.norm_eps},
                       {"tie_embeddings", dials.tie_embeddings}};
  // Left out where nothing is scaled, so that states saved before the key are of the same run.
  if (dials.rope_scaling != model::RopeScaling{}) {
    auto& scaling = json["blueprint"]["rope_scaling"];
    scaling["rope_type"] = std::string(model::RopeScalingName(dials.rope_scaling.kind));
    model::VisitDials(dials.rope_scaling,
                      [&](const char* name, auto value) { scaling[name] = value; });
  }
  json["train"] = TrainJson(train);
  json["train"].update({{"sequence_length", train.sequence_length},
                        {"held_out_fraction", train.held_out_fraction},
                        {"held_out_tokens", train.held_out_tokens},
                        {"sample_prompt", train.sample_prompt},
                        {"processes", train.processes}});
  // Left out where they are not asked for, as in TrainJson.
  if (train.document_mask) json["train"]["document_mask"] = true;
  if (train.activation_checkpointing) json["train"]["activation_checkpointing"] = true;
  if (train.precision != PrecisionKind::kF32) {
    json["train"]["precision"] = std::string(PrecisionName(train.precision));
  }
  if (train.device != DeviceKind::kCpu) {
    json["train"]["device"] = std::string(DeviceKindName(train.device));
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace floe::trainer
