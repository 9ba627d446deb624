#include "trainer/internal/transformer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "trainer/rng.h"

namespace floe::trainer {
namespace {

constexpr double kDeviation = 0.02;

// Each part has its own stream of random numbers: how parts are stored together changes nothing.
void FillNormal(float* to, int64_t count, double deviation, uint64_t seed, std::string_view name) {
  Rng rng(Rng::SeedFor(seed, name));
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(deviation * rng.Normal());
}

}  // namespace

absl::StatusOr<Transformer> Transformer::Create(const model::Blueprint& blueprint, uint64_t seed) {
  FLOE_RETURN_IF_ERROR(blueprint.Validate());
  if (blueprint.family == model::Family::kGpt2 || blueprint.ffn != model::FfnKind::kGated) {
    return absl::UnimplementedError(
        absl::StrCat("family ", AbslView(model::FamilyName(blueprint.family)),
                     blueprint.ffn == model::FfnKind::kGated ? "" : " with a plain FFN",
                     " cannot be trained here; choose qwen3, llama or qwen2 with a gated FFN"));
  }
  Transformer transformer(blueprint);
  transformer.Build(seed);
  return transformer;
}

absl::StatusOr<Transformer> Transformer::Load(const model::Checkpoint& checkpoint) {
  FLOE_ASSIGN_OR_RETURN(Transformer transformer, Create(checkpoint.blueprint(), 0));
  for (Parameter& parameter : transformer.parameters_) {
    const int64_t columns = parameter.value.dim() == 2 ? parameter.value.size(1) : 1;
    for (const ParameterPart& part : parameter.parts) {
      FLOE_ASSIGN_OR_RETURN(const model::TensorView view, checkpoint.Tensor(part.name));
      const std::vector<float> values = view.ToFloats();
      if (static_cast<int64_t>(values.size()) != part.rows * columns) {
        return absl::DataLossError(absl::StrCat("tensor ", part.name, " of the checkpoint has ",
                                                values.size(), " numbers, not ",
                                                part.rows * columns));
      }
      for (size_t i = 0; i < values.size(); ++i) {
        if (std::isfinite(values[i])) continue;
        return absl::DataLossError(absl::StrCat("tensor ", part.name,
                                                " of the checkpoint holds a NaN or infinity at ", i,
                                                "; choose another base"));
      }
      std::copy(values.begin(), values.end(),
                parameter.value.data_ptr<float>() + part.first * columns);
    }
  }
  return transformer;
}

int Transformer::AddMatrix(std::vector<ParameterPart> parts, int64_t columns, double deviation,
                           uint64_t seed) {
  int64_t rows = 0;
  for (ParameterPart& part : parts) {
    part.first = rows;
    rows += part.rows;
  }
  at::Tensor value = at::empty({rows, columns});
  for (const ParameterPart& part : parts) {
    FillNormal(value.data_ptr<float>() + part.first * columns, part.rows * columns, deviation, seed,
               part.name);
  }
  parameters_.push_back({value.requires_grad_(), std::move(parts), /*decays=*/true});
  return static_cast<int>(parameters_.size()) - 1;
}

int Transformer::AddVector(std::vector<ParameterPart> parts, float value) {
  int64_t rows = 0;
  for (ParameterPart& part : parts) {
    part.first = rows;
    rows += part.rows;
  }
  parameters_.push_back({at::full({rows}, value).requires_grad_(), std::move(parts), false});
  return static_cast<int>(parameters_.size()) - 1;
}

void Transformer::BuildLayer(int64_t index, uint64_t seed) {
  const model::Blueprint& b = blueprint_;
  const std::string at = absl::StrCat("model.layers.", index, ".");
  const int64_t q = b.num_heads * b.head_dim, kv = b.num_kv_heads * b.head_dim;
  const double residual = kDeviation / std::sqrt(2.0 * static_cast<double>(b.num_layers));
  Layer layer;
  layer.input_norm = AddVector({{at + "input_layernorm.weight", 0, b.hidden_size}}, 1);
  layer.qkv = AddMatrix({{at + "self_attn.q_proj.weight", 0, q},
                         {at + "self_attn.k_proj.weight", 0, kv},
                         {at + "self_attn.v_proj.weight", 0, kv}},
                        b.hidden_size, kDeviation, seed);
  if (b.family == model::Family::kQwen2) {
    layer.qkv_bias = AddVector({{at + "self_attn.q_proj.bias", 0, q},
                                {at + "self_attn.k_proj.bias", 0, kv},
                                {at + "self_attn.v_proj.bias", 0, kv}},
                               0);
  }
  if (b.family == model::Family::kQwen3) {
    layer.q_norm = AddVector({{at + "self_attn.q_norm.weight", 0, b.head_dim}}, 1);
    layer.k_norm = AddVector({{at + "self_attn.k_norm.weight", 0, b.head_dim}}, 1);
  }
  layer.output = AddMatrix({{at + "self_attn.o_proj.weight", 0, b.hidden_size}}, q, residual, seed);
  layer.post_norm = AddVector({{at + "post_attention_layernorm.weight", 0, b.hidden_size}}, 1);
  layer.gate_up = AddMatrix({{at + "mlp.gate_proj.weight", 0, b.ffn_hidden},
                             {at + "mlp.up_proj.weight", 0, b.ffn_hidden}},
                            b.hidden_size, kDeviation, seed);
  layer.down =
      AddMatrix({{at + "mlp.down_proj.weight", 0, b.hidden_size}}, b.ffn_hidden, residual, seed);
  layers_.push_back(layer);
}

void Transformer::Build(uint64_t seed) {
  const model::Blueprint& b = blueprint_;
  embedding_ =
      AddMatrix({{"model.embed_tokens.weight", 0, b.vocab_size}}, b.hidden_size, kDeviation, seed);
  for (int64_t i = 0; i < b.num_layers; ++i) BuildLayer(i, seed);
  final_norm_ = AddVector({{"model.norm.weight", 0, b.hidden_size}}, 1);
  head_ = b.tie_embeddings
              ? embedding_
              : AddMatrix({{"lm_head.weight", 0, b.vocab_size}}, b.hidden_size, kDeviation, seed);
  BuildRope();
}

void Transformer::BuildRope() {
  const int64_t half = blueprint_.head_dim / 2;
  cos_ = at::empty({blueprint_.context, half});
  sin_ = at::empty({blueprint_.context, half});
  for (int64_t t = 0; t < blueprint_.context; ++t) {
    for (int64_t i = 0; i < half; ++i) {
      const double turn =
          static_cast<double>(t) *
          std::pow(blueprint_.rope_theta, -static_cast<double>(i) / static_cast<double>(half));
      cos_.data_ptr<float>()[t * half + i] = static_cast<float>(std::cos(turn));
      sin_.data_ptr<float>()[t * half + i] = static_cast<float>(std::sin(turn));
    }
  }
}

at::Tensor Transformer::Attention(const at::Tensor& x, const Layer& layer, int64_t sequence,
                                  Heads* traced) const {
  const at::Tensor normed = RmsNorm(x, At(layer.input_norm), blueprint_.norm_eps);
  const at::Tensor qkv = layer.qkv_bias < 0
                             ? at::mm(normed, At(layer.qkv).t())
                             : at::addmm(At(layer.qkv_bias), normed, At(layer.qkv).t());
  const kernels::HeadLayout layout{.num_heads = blueprint_.num_heads,
                                   .num_kv_heads = blueprint_.num_kv_heads,
                                   .head_dim = blueprint_.head_dim,
                                   .sequence = sequence};
  const Heads heads = SplitHeads(qkv, layout,
                                 {.q_gain = AtOrNone(layer.q_norm),
                                  .k_gain = AtOrNone(layer.k_norm),
                                  .eps = blueprint_.norm_eps,
                                  .cos = cos_,
                                  .sin = sin_});
  if (traced != nullptr) *traced = heads;
  return at::addmm(x, CausalAttention(heads), At(layer.output).t());
}

at::Tensor Transformer::Hidden(const at::Tensor& ids, Trace* trace) const {
  TORCH_CHECK(ids.dim() == 2 && ids.size(1) <= blueprint_.context,
              "ids must be [B, T] with T up to ", blueprint_.context);
  at::Tensor x = at::embedding(At(embedding_), ids.reshape({-1}));
  if (trace != nullptr) *trace = {x, {}};
  for (const Layer& layer : layers_) {
    LayerTrace* const traced = trace == nullptr ? nullptr : &trace->layers.emplace_back();
    const at::Tensor before = x;
    x = Attention(x, layer, ids.size(1), traced == nullptr ? nullptr : &traced->heads);
    const at::Tensor middle = x;
    const at::Tensor normed = RmsNorm(x, At(layer.post_norm), blueprint_.norm_eps);
    const at::Tensor gate_up = at::mm(normed, At(layer.gate_up).t());
    x = at::addmm(x, SwiGlu(gate_up), At(layer.down).t());
    if (traced != nullptr) {
      traced->attention = middle - before;
      traced->ffn = x - middle;
      traced->output = x;
    }
  }
  return FinalNorm(x);
}

at::Tensor Transformer::FinalNorm(const at::Tensor& stream) const {
  return RmsNorm(stream, At(final_norm_), blueprint_.norm_eps);
}

at::Tensor Transformer::Logits(const at::Tensor& hidden) const {
  return at::mm(hidden, head().t());
}

std::vector<model::NamedTensor> Transformer::Export() const {
  std::map<std::string, model::TensorView> by_name;
  for (const Parameter& parameter : parameters_) {
    const int64_t columns = parameter.value.dim() == 2 ? parameter.value.size(1) : 1;
    const float* data = parameter.value.data_ptr<float>();
    for (const ParameterPart& part : parameter.parts) {
      model::TensorView view;
      view.shape = {part.rows};
      if (parameter.value.dim() == 2) view.shape.push_back(columns);
      view.bytes = {reinterpret_cast<const char*>(data + part.first * columns),
                    static_cast<size_t>(part.rows * columns) * sizeof(float)};
      by_name[part.name] = view;
    }
  }
  std::vector<model::NamedTensor> tensors;
  for (const model::TensorSpec& spec : model::TensorsOf(blueprint_)) {
    const model::TensorView& view = by_name.at(spec.name);
    TORCH_INTERNAL_ASSERT(view.shape == spec.shape);
    tensors.push_back({spec.name, view});
  }
  return tensors;
}

}  // namespace floe::trainer
