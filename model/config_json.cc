#include "absl/strings/str_cat.h"

#include "base/json/strict_json.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "model/checkpoint.h"
#include "model/internal/config_reader.h"
#include "model/internal/rope_config.h"

namespace floe::model {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr size_t kMaxConfigBytes = 1 << 20;
// Ours alone: no other stack has the native layout with a plain FFN. transformers ignores the key
// and fills gate_proj with random numbers, so such a folder is not exported to it: CheckOthersRead.
constexpr char kFfnKey[] = "floe_ffn";
constexpr char kGeluTanh[] = "gelu_pytorch_tanh";

absl::Status Bad(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("config.json: ", AbslView(what)));
}

const char* Architecture(Family family) {
  switch (family) {
    case Family::kQwen3:
      return "Qwen3ForCausalLM";
    case Family::kLlama:
      return "LlamaForCausalLM";
    case Family::kQwen2:
      return "Qwen2ForCausalLM";
    case Family::kGpt2:
      break;
  }
  return "GPT2LMHeadModel";
}

OrderedJson Gpt2Config(const Blueprint& b) {
  return {{"activation_function", "gelu_new"},
          {"layer_norm_epsilon", b.norm_eps},
          {"n_ctx", b.context},
          {"n_embd", b.hidden_size},
          {"n_head", b.num_heads},
          {"n_inner", b.ffn_hidden},
          {"n_layer", b.num_layers},
          {"n_positions", b.context}};
}

OrderedJson RopeConfig(const Blueprint& b) {
  OrderedJson config = {{"head_dim", b.head_dim},
                        {"hidden_act", b.ffn == FfnKind::kGated ? "silu" : kGeluTanh},
                        {"hidden_size", b.hidden_size},
                        {"intermediate_size", b.ffn_hidden},
                        {"max_position_embeddings", b.context},
                        {"num_attention_heads", b.num_heads},
                        {"num_hidden_layers", b.num_layers},
                        {"num_key_value_heads", b.num_kv_heads},
                        {"rms_norm_eps", b.norm_eps}};
  WriteRope(b, config);
  if (b.ffn == FfnKind::kPlain) config[kFfnKey] = "plain";
  if (b.family != Family::kQwen2) config["attention_bias"] = false;
  if (b.family == Family::kLlama) {
    config["mlp_bias"] = false;
  } else {
    config["max_window_layers"] = b.num_layers;
    config["sliding_window"] = nullptr;
    config["use_sliding_window"] = false;
  }
  return config;
}

void ReadFfn(ConfigReader& reader, Blueprint& b) {
  const std::string kind = reader.Text(kFfnKey);
  if (!kind.empty() && kind != "plain") reader.AddWrong(kFfnKey, kind, "plain, or absent");
  b.ffn = kind == "plain" ? FfnKind::kPlain : FfnKind::kGated;
  const std::string activation = reader.Text("hidden_act");
  const char* wanted = b.ffn == FfnKind::kPlain ? kGeluTanh : "silu";
  if (!activation.empty() && activation != wanted) {
    reader.AddWrong("hidden_act", activation, wanted);
  }
}

void ReadRopeFamily(ConfigReader& reader, Blueprint& b) {
  b.vocab_size = reader.Whole("vocab_size");
  b.hidden_size = reader.Whole("hidden_size");
  b.num_layers = reader.Whole("num_hidden_layers");
  b.num_heads = reader.Whole("num_attention_heads");
  b.num_kv_heads = reader.Whole("num_key_value_heads", b.num_heads);
  b.ffn_hidden = reader.Whole("intermediate_size");
  b.context = reader.Whole("max_position_embeddings");
  b.norm_eps = reader.Number("rms_norm_eps", 1e-6);
  b.tie_embeddings = reader.Boolean("tie_word_embeddings", false);
  ReadRope(reader, b);
  if (reader.Has("head_dim") || b.family == Family::kQwen3) {
    b.head_dim = reader.Whole("head_dim", 128);
  } else if (b.num_heads > 0 && b.hidden_size % b.num_heads == 0) {
    b.head_dim = b.hidden_size / b.num_heads;
  } else if (b.num_heads > 0) {
    reader.Add("hidden_size must be a multiple of num_attention_heads where head_dim is not given");
  }
  ReadFfn(reader, b);
  if (b.family != Family::kQwen2) reader.Only("attention_bias", false);
  reader.Only("mlp_bias", false);
  reader.Only("use_sliding_window", false);
  reader.Only("rope_interleaved", false);
  for (const Json& type : reader.At("layer_types")) {
    if (type == "full_attention") continue;
    reader.AddWrong("layer_types", type, "full_attention in every layer");
    break;
  }
}

void ReadGpt2(ConfigReader& reader, Blueprint& b) {
  b.ffn = FfnKind::kPlain;
  b.vocab_size = reader.Whole("vocab_size");
  b.hidden_size = reader.Whole("n_embd");
  b.num_layers = reader.Whole("n_layer");
  b.num_heads = reader.Whole("n_head");
  b.num_kv_heads = b.num_heads;
  b.context = reader.Whole("n_positions");
  b.norm_eps = reader.Number("layer_norm_epsilon", 1e-5);
  b.tie_embeddings = reader.Boolean("tie_word_embeddings", true);
  b.ffn_hidden = reader.Whole("n_inner", b.hidden_size <= int64_t{1} << 50 ? 4 * b.hidden_size : 0);
  if (b.num_heads > 0) b.head_dim = b.hidden_size / b.num_heads;
  const std::string activation = reader.Text("activation_function");
  if (!activation.empty() && activation != "gelu_new" && activation != kGeluTanh) {
    reader.AddWrong("activation_function", activation, "gelu_new");
  }
  reader.Only("scale_attn_weights", true);
  reader.Only("scale_attn_by_inverse_layer_idx", false);
  reader.Only("add_cross_attention", false);
}

}  // namespace

std::string ConfigJson(const Blueprint& blueprint, WeightFormat weight_format) {
  OrderedJson config = {{"architectures", {Architecture(blueprint.family)}},
                        {"model_type", FamilyName(blueprint.family)},
                        {"vocab_size", blueprint.vocab_size},
                        {"tie_word_embeddings", blueprint.tie_embeddings},
                        {"torch_dtype", "float32"},
                        {"initializer_range", 0.02},
                        {"use_cache", true}};
  config.update(blueprint.family == Family::kGpt2 ? Gpt2Config(blueprint) : RopeConfig(blueprint));
  if (weight_format == WeightFormat::kInt8) {
    config["quantization_config"] = {
        {"bits", 8}, {"group_size", kQuantizationGroup}, {"quant_method", "floe-int8"}};
  }
  return config.dump(2) + "\n";
}

absl::StatusOr<Blueprint> ParseConfigJson(std::string_view json) {
  if (json.size() > kMaxConfigBytes) {
    return Bad(absl::StrCat("has ", json.size(), " bytes; at most ", kMaxConfigBytes));
  }
  FLOE_ASSIGN_OR_RETURN(const Json config, ParseStrictJson(json, "config.json"));
  if (!config.is_object()) return Bad("must hold one JSON object");
  ConfigReader reader(config);
  const std::string type = reader.Text("model_type");
  const absl::StatusOr<Family> family = ParseFamily(type);
  if (!family.ok()) {
    return Bad(absl::StrCat("model_type is ", ShownJson(type),
                            "; loadable are qwen3, llama, qwen2 and gpt2"));
  }
  Blueprint blueprint;
  blueprint.family = *family;
  if (*family == Family::kGpt2) {
    ReadGpt2(reader, blueprint);
  } else {
    ReadRopeFamily(reader, blueprint);
  }
  if (reader.Has("quantization_config")) {
    reader.Add("quantization_config is there, but quantized weights are not supported");
  }
  if (!reader.mistakes().empty()) return Bad(reader.mistakes());
  if (const absl::Status valid = blueprint.Validate(); !valid.ok()) {
    return Bad(StdView(valid.message()));
  }
  return blueprint;
}

}  // namespace floe::model
