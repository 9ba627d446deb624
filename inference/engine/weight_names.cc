#include "inference/engine/weight_names.h"

#include "absl/strings/str_cat.h"

namespace floe::inference {
namespace {

LayerNames RopeLayer(const model::Blueprint& b, int64_t layer) {
  const std::string at = absl::StrCat("model.layers.", layer, ".");
  const int64_t q = b.num_heads * b.head_dim;
  const int64_t kv = b.num_kv_heads * b.head_dim;
  LayerNames names;
  names.attention_norm.gain = at + "input_layernorm.weight";
  names.qkv.parts = {
      {at + "self_attn.q_proj", q}, {at + "self_attn.k_proj", kv}, {at + "self_attn.v_proj", kv}};
  names.qkv.in = b.hidden_size;
  names.qkv.biased = b.family == model::Family::kQwen2;
  if (b.family == model::Family::kQwen3) {
    names.query_norm = at + "self_attn.q_norm.weight";
    names.key_norm = at + "self_attn.k_norm.weight";
  }
  names.attention_out = {{{at + "self_attn.o_proj", b.hidden_size}}, q};
  names.ffn_norm.gain = at + "post_attention_layernorm.weight";
  if (b.ffn == model::FfnKind::kGated) names.up.parts = {{at + "mlp.gate_proj", b.ffn_hidden}};
  names.up.parts.push_back({at + "mlp.up_proj", b.ffn_hidden});
  names.up.in = b.hidden_size;
  names.down = {{{at + "mlp.down_proj", b.hidden_size}}, b.ffn_hidden};
  return names;
}

NormNames LayerNorm(const std::string& name) { return {name + ".weight", name + ".bias"}; }

LayerNames Gpt2Layer(const model::Blueprint& b, int64_t layer) {
  const std::string at = absl::StrCat("transformer.h.", layer, ".");
  const int64_t d = b.hidden_size;
  const auto conv1d = [&at](const char* name, int64_t in, int64_t out) {
    return LinearNames{{{at + name, out}}, in, /*transposed=*/true, /*biased=*/true};
  };
  LayerNames names;
  names.attention_norm = LayerNorm(at + "ln_1");
  names.qkv = conv1d("attn.c_attn", d, 3 * d);
  names.attention_out = conv1d("attn.c_proj", d, d);
  names.ffn_norm = LayerNorm(at + "ln_2");
  names.up = conv1d("mlp.c_fc", d, b.ffn_hidden);
  names.down = conv1d("mlp.c_proj", b.ffn_hidden, d);
  return names;
}

}  // namespace

WeightNames NamesOfWeights(const model::Blueprint& b) {
  const bool gpt2 = b.family == model::Family::kGpt2;
  WeightNames names;
  names.embedding = {{{gpt2 ? "transformer.wte" : "model.embed_tokens", b.vocab_size}},
                     b.hidden_size};
  if (gpt2) names.positions = "transformer.wpe.weight";
  for (int64_t layer = 0; layer < b.num_layers; ++layer) {
    names.layers.push_back(gpt2 ? Gpt2Layer(b, layer) : RopeLayer(b, layer));
  }
  names.final_norm = gpt2 ? LayerNorm("transformer.ln_f") : NormNames{"model.norm.weight", ""};
  if (!b.tie_embeddings) names.head = {{{"lm_head", b.vocab_size}}, b.hidden_size};
  return names;
}

}  // namespace floe::inference
