#include "trainer/spec/pretrain_spec.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "base/yaml/yaml_map.h"

namespace floe::trainer {
namespace {

constexpr size_t kMaxSpecBytes = 1 << 16;
constexpr int64_t kMaxDial = 1 << 24;
constexpr size_t kMaxPromptBytes = 4096;

// An id or teams/<team>/<collection>/<id>, with or without @sha256:<digest>.
bool IsReference(std::string_view text, std::string_view collection) {
  const size_t at = text.find('@');
  if (at != std::string_view::npos) {
    const std::string_view digest = text.substr(at + 1);
    if (!digest.starts_with("sha256:") || !IsSha256Hex(digest.substr(7))) return false;
    text = text.substr(0, at);
  }
  return IsResourceId(text) || ParseResourceName(text, {"teams", collection}).ok();
}

void ReadReference(YamlMap& map, std::string_view key, std::string_view collection,
                   std::string& value) {
  map.Read(key, value, Presence::kRequired);
  if (!map.Has(key) || IsReference(value, collection)) return;
  map.Fail(
      BadYaml(map.At(key), absl::StrCat(AbslView(key), " is \"", absl::CHexEscape(value),
                                        "\"; write its id or teams/<team>/", AbslView(collection),
                                        "/<id>, with @sha256:<digest> for one revision")));
}

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

absl::StatusOr<model::Blueprint> ReadBlueprint(const YAML::Node& node) {
  YamlMap map("blueprint", node);
  model::Blueprint dials;
  std::string family = "qwen3";
  const IntRange dial{.least = 1, .most = kMaxDial};
  map.Read("family", family);
  map.Read("hidden_size", dials.hidden_size, dial, Presence::kRequired);
  map.Read("num_layers", dials.num_layers, {.least = 1, .most = 1024}, Presence::kRequired);
  map.Read("num_heads", dials.num_heads, dial, Presence::kRequired);
  map.Read("num_kv_heads", dials.num_kv_heads, dial);
  map.Read("head_dim", dials.head_dim, dial);
  map.Read("ffn_hidden", dials.ffn_hidden, dial, Presence::kRequired);
  map.Read("context", dials.context, dial, Presence::kRequired);
  map.Read("rope_theta", dials.rope_theta, {.least = 1, .most = 1e12});
  map.Read("norm_eps", dials.norm_eps, {.least = 0, .most = 1e-2, .above_least = true});
  map.Read("tie_embeddings", dials.tie_embeddings);
  FLOE_RETURN_IF_ERROR(map.Finish());

  auto known = model::ParseFamily(family);
  if (!known.ok()) return BadYaml(map.At("family"), StdView(known.status().message()));
  dials.family = *known;
  if (dials.family == model::Family::kGpt2) {
    return absl::UnimplementedError(
        absl::StrCat("line ", map.At("family").Mark().line + 1,
                     ": family gpt2 cannot be trained here; choose qwen3, llama or qwen2"));
  }
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

void ReadNumbers(YamlMap& map, TrainSettings& train) {
  map.Read("learning_rate", train.learning_rate, {.least = 0, .most = 10, .above_least = true});
  map.Read("min_learning_rate", train.min_learning_rate, {.least = 0, .most = 10});
  map.Read("weight_decay", train.weight_decay, {.least = 0, .most = 10});
  map.Read("beta1", train.beta1, {.least = 0, .most = 1, .below_most = true});
  map.Read("beta2", train.beta2, {.least = 0, .most = 1, .below_most = true});
  map.Read("grad_clip", train.grad_clip, {.least = 0, .most = 1e6});
  map.Read("held_out_fraction", train.held_out_fraction, {.least = 0, .most = 0.5});
}

absl::StatusOr<TrainSettings> ReadTrain(const YAML::Node& node, int64_t context) {
  YamlMap map("train", node);
  TrainSettings train;
  std::string schedule(ScheduleName(train.schedule));
  const IntRange count{.least = 1, .most = 1'000'000'000};
  train.sequence_length = context;
  map.Read("steps", train.steps, count, Presence::kRequired);
  map.Read("batch_size", train.batch_size, {.least = 1, .most = 1 << 16});
  map.Read("sequence_length", train.sequence_length, {.least = 2, .most = kMaxDial});
  map.Read("gradient_accumulation", train.gradient_accumulation, {.least = 1, .most = 1 << 16});
  map.Read("warmup_steps", train.warmup_steps, {.least = 0, .most = count.most});
  map.Read("schedule", schedule);
  map.Read("seed", train.seed);
  map.Read("eval_interval", train.eval_interval, count);
  map.Read("checkpoint_interval", train.checkpoint_interval, count);
  map.Read("held_out_tokens", train.held_out_tokens, count);
  map.Read("sample_prompt", train.sample_prompt);
  ReadNumbers(map, train);
  FLOE_RETURN_IF_ERROR(map.Finish());

  if (schedule == "wsd") {
    train.schedule = ScheduleKind::kWsd;
  } else if (schedule != "cosine") {
    return BadYaml(map.At("schedule"), absl::StrCat("schedule is \"", absl::CHexEscape(schedule),
                                                    "\"; known are cosine, wsd"));
  }
  if (train.sequence_length > context) {
    return BadYaml(map.At("sequence_length"),
                   absl::StrCat("sequence_length is ", train.sequence_length,
                                ", more than the context ", context));
  }
  if (train.warmup_steps > train.steps) {
    return BadYaml(map.At("warmup_steps"), absl::StrCat("warmup_steps is ", train.warmup_steps,
                                                        ", more than the steps ", train.steps));
  }
  if (train.min_learning_rate > train.learning_rate) {
    return BadYaml(map.At("min_learning_rate"),
                   absl::StrCat("min_learning_rate is ", train.min_learning_rate,
                                ", more than learning_rate ", train.learning_rate));
  }
  if (train.sample_prompt.size() > kMaxPromptBytes) {
    return BadYaml(map.At("sample_prompt"),
                   absl::StrCat("sample_prompt has ", train.sample_prompt.size(),
                                " bytes; the limit is ", kMaxPromptBytes));
  }
  return train;
}

absl::StatusOr<PretrainSpec> ReadSpec(const YAML::Node& root) {
  YamlMap map("the specification", root);
  PretrainSpec spec;
  map.Read("model", spec.model, Presence::kRequired);
  if (map.Has("model") && !IsResourceId(spec.model)) {
    map.Fail(BadYaml(map.At("model"), absl::StrCat("model is \"", absl::CHexEscape(spec.model),
                                                   "\"; an id is 1 to 63 of a-z 0-9 - _ . and "
                                                   "starts with a letter or digit")));
  }
  ReadReference(map, "dataset", "datasets", spec.dataset);
  ReadReference(map, "tokenizer", "tokenizers", spec.tokenizer);
  const YAML::Node blueprint = map.Child("blueprint", Presence::kRequired);
  const YAML::Node train = map.Child("train", Presence::kRequired);
  FLOE_RETURN_IF_ERROR(map.Finish());
  FLOE_ASSIGN_OR_RETURN(spec.blueprint, ReadBlueprint(blueprint));
  FLOE_ASSIGN_OR_RETURN(spec.train, ReadTrain(train, spec.blueprint.context));
  return spec;
}

}  // namespace

std::string_view ScheduleName(ScheduleKind kind) {
  return kind == ScheduleKind::kWsd ? "wsd" : "cosine";
}

absl::StatusOr<PretrainSpec> ParsePretrainSpec(std::string_view text) {
  PretrainSpec spec;
  FLOE_RETURN_IF_ERROR(ReadYaml(text, kMaxSpecBytes, [&](const YAML::Node& root) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(spec, ReadSpec(root));
    return absl::OkStatus();
  }));
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
                       {"context", dials.context},
                       {"rope_theta", dials.rope_theta},
                       {"norm_eps", dials.norm_eps},
                       {"tie_embeddings", dials.tie_embeddings}};
  json["train"] = {{"steps", train.steps},
                   {"batch_size", train.batch_size},
                   {"sequence_length", train.sequence_length},
                   {"gradient_accumulation", train.gradient_accumulation},
                   {"learning_rate", train.learning_rate},
                   {"min_learning_rate", train.min_learning_rate},
                   {"warmup_steps", train.warmup_steps},
                   {"schedule", std::string(ScheduleName(train.schedule))},
                   {"weight_decay", train.weight_decay},
                   {"beta1", train.beta1},
                   {"beta2", train.beta2},
                   {"grad_clip", train.grad_clip},
                   {"seed", train.seed},
                   {"eval_interval", train.eval_interval},
                   {"checkpoint_interval", train.checkpoint_interval},
                   {"held_out_fraction", train.held_out_fraction},
                   {"held_out_tokens", train.held_out_tokens},
                   {"sample_prompt", train.sample_prompt}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace floe::trainer
