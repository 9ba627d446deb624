#include "absl/strings/str_cat.h"

#include "base/json/strict_json.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "model/checkpoint.h"

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
  OrderedJson config = {
      {"head_dim", b.head_dim},
      {"hidden_act", b.ffn == FfnKind::kGated ? "silu" : kGeluTanh},
      {"hidden_size", b.hidden_size},
      {"intermediate_size", b.ffn_hidden},
      {"max_position_embeddings", b.context},
      {"num_attention_heads", b.num_heads},
      {"num_hidden_layers", b.num_layers},
      {"num_key_value_heads", b.num_kv_heads},
      {"rms_norm_eps", b.norm_eps},
      // Readers since transformers 5 take the first, older ones the second.
      {"rope_parameters", {{"rope_theta", b.rope_theta}, {"rope_type", "default"}}},
      {"rope_theta", b.rope_theta}};
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

// Reads members; keeps every mistake, so that one answer names them all.
class Reader {
 public:
  explicit Reader(const Json& config) : config_(config) {}

  bool Has(const char* key) const { return !At(key).is_null(); }

  int64_t Whole(const char* key) {
    if (!Has(key)) {
      Add(absl::StrCat(key, " is missing"));
      return 0;
    }
    return Whole(key, 0);
  }
  int64_t Whole(const char* key, int64_t otherwise) {
    const Json& value = At(key);
    if (value.is_null()) return otherwise;
    if (value.is_number_unsigned() && value.get<uint64_t>() <= uint64_t{1} << 53) {
      return value.get<int64_t>();
    }
    AddWrong(key, value, "a whole number");
    return otherwise;
  }
  double Number(const char* key, double otherwise) {
    const Json& value = At(key);
    if (value.is_null()) return otherwise;
    if (value.is_number()) return value.get<double>();
    AddWrong(key, value, "a number");
    return otherwise;
  }
  bool Boolean(const char* key, bool otherwise) {
    const Json& value = At(key);
    if (value.is_null()) return otherwise;
    if (value.is_boolean()) return value.get<bool>();
    AddWrong(key, value, "true or false");
    return otherwise;
  }
  std::string Text(const char* key) {
    const Json& value = At(key);
    if (value.is_null()) return "";
    if (value.is_string()) return value.get<std::string>();
    AddWrong(key, value, "a string");
    return "";
  }
  // A switch that would change the computation: only `supported` can be served.
  void Only(const char* key, bool supported) {
    if (Boolean(key, supported) != supported) {
      Add(absl::StrCat(key, supported ? " is false" : " is true", ", which is not supported"));
    }
  }
  const Json& At(const char* key) const {
    static const Json kNull;
    const auto found = config_.find(key);
    return found == config_.end() ? kNull : *found;
  }

  void AddWrong(std::string_view key, const Json& value, std::string_view wanted) {
    Add(absl::StrCat(AbslView(key), " is ", ShownJson(value), "; must be ", AbslView(wanted)));
  }
  void Add(std::string_view mistake) {
    absl::StrAppend(&mistakes_, mistakes_.empty() ? "" : "; ", AbslView(mistake));
  }
  absl::Status Finish() const { return mistakes_.empty() ? absl::OkStatus() : Bad(mistakes_); }

 private:
  const Json& config_;
  std::string mistakes_;
};

// `rope_scaling` (older) or `rope_parameters` (transformers 5): only plain RoPE is computed here.
void CheckRope(Reader& reader, const char* key) {
  const Json& rope = reader.At(key);
  if (rope.is_null()) return;
  if (!rope.is_object()) return reader.AddWrong(key, rope, "an object");
  for (const char* type_key : {"rope_type", "type"}) {
    const auto type = rope.find(type_key);
    if (type != rope.end() && *type != "default") {
      reader.Add(absl::StrCat(key, ".", type_key, " is ", ShownJson(*type),
                              "; only \"default\" is supported"));
    }
  }
}

double RopeTheta(Reader& reader) {
  CheckRope(reader, "rope_scaling");
  CheckRope(reader, "rope_parameters");
  constexpr double kDefault = 10000;  // of all three families, where the file says nothing
  const double older = reader.Number("rope_theta", 0);
  const Json& rope = reader.At("rope_parameters");
  if (!rope.is_object() || !rope.contains("rope_theta")) return older == 0 ? kDefault : older;
  const Json& theta = rope["rope_theta"];
  if (!theta.is_number()) {
    reader.AddWrong("rope_parameters.rope_theta", theta, "a number");
    return kDefault;
  }
  if (older != 0 && theta.get<double>() != older) {
    reader.Add("rope_theta and rope_parameters.rope_theta differ");
  }
  return theta.get<double>();
}

void ReadFfn(Reader& reader, Blueprint& b) {
  const std::string kind = reader.Text(kFfnKey);
  if (!kind.empty() && kind != "plain") reader.AddWrong(kFfnKey, kind, "plain, or absent");
  b.ffn = kind == "plain" ? FfnKind::kPlain : FfnKind::kGated;
  const std::string activation = reader.Text("hidden_act");
  const char* wanted = b.ffn == FfnKind::kPlain ? kGeluTanh : "silu";
  if (!activation.empty() && activation != wanted) {
    reader.AddWrong("hidden_act", activation, wanted);
  }
}

void ReadRopeFamily(Reader& reader, Blueprint& b) {
  b.vocab_size = reader.Whole("vocab_size");
  b.hidden_size = reader.Whole("hidden_size");
  b.num_layers = reader.Whole("num_hidden_layers");
  b.num_heads = reader.Whole("num_attention_heads");
  b.num_kv_heads = reader.Whole("num_key_value_heads", b.num_heads);
  b.ffn_hidden = reader.Whole("intermediate_size");
  b.context = reader.Whole("max_position_embeddings");
  b.norm_eps = reader.Number("rms_norm_eps", 1e-6);
  b.tie_embeddings = reader.Boolean("tie_word_embeddings", false);
  b.rope_theta = RopeTheta(reader);
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
  if (reader.Number("partial_rotary_factor", 1) != 1) {
    reader.Add("partial_rotary_factor is not 1, which is not supported");
  }
  for (const Json& type : reader.At("layer_types")) {
    if (type == "full_attention") continue;
    reader.AddWrong("layer_types", type, "full_attention in every layer");
    break;
  }
}

void ReadGpt2(Reader& reader, Blueprint& b) {
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
  Reader reader(config);
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
  FLOE_RETURN_IF_ERROR(reader.Finish());
  if (const absl::Status valid = blueprint.Validate(); !valid.ok()) {
    return Bad(StdView(valid.message()));
  }
  return blueprint;
}

}  // namespace floe::model
