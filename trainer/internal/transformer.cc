#include "trainer/internal/transformer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "trainer/internal/checkpointed.h"
#include "trainer/internal/gpt2_ops.h"
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
  Transformer transformer(blueprint);
  if (blueprint.family == model::Family::kGpt2) {
    transformer.BuildGpt2(seed);
  } else {
    transformer.Build(seed);
  }
  transformer.MarkLayers();
  return transformer;
}

absl::StatusOr<Transformer> Transformer::Load(const model::Checkpoint& checkpoint) {
  if (checkpoint.weight_format() != model::WeightFormat::kFloat) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the checkpoint ", checkpoint.folder().string(),
        " holds 8-bit weights, which are for serving; use the version that it was made from, ",
        checkpoint.manifest().parents.checkpoint));
  }
  FLOE_ASSIGN_OR_RETURN(Transformer transformer, Create(checkpoint.blueprint(), 0));
  for (Parameter& parameter : transformer.parameters_) {
    const int64_t columns = parameter.value.dim() == 2 ? parameter.value.size(1) : 1;
    for (const ParameterPart& part : parameter.parts) {
      FLOE_ASSIGN_OR_RETURN(const model::TensorView view, checkpoint.Tensor(part.name));
      FLOE_ASSIGN_OR_RETURN(const std::vector<float> values, checkpoint.Floats(view));
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

void Transformer::MoveTo(at::Device device) {
  if (embedding().device() == device) return;
  for (Parameter& parameter : parameters_) {
    parameter.value = parameter.value.detach().to(device).requires_grad_();
  }
  if (!cos_.defined()) return;
  cos_ = cos_.to(device);
  sin_ = sin_.to(device);
}

Transformer Transformer::Replica() const {
  Transformer replica = *this;
  for (Parameter& parameter : replica.parameters_) {
    parameter.value = parameter.value.detach().requires_grad_();
  }
  return replica;
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
  layer.input_norm.gain = AddVector({{at + "input_layernorm.weight", 0, b.hidden_size}}, 1);
  layer.qkv.weight = AddMatrix({{at + "self_attn.q_proj.weight", 0, q},
                                {at + "self_attn.k_proj.weight", 0, kv},
                                {at + "self_attn.v_proj.weight", 0, kv}},
                               b.hidden_size, kDeviation, seed);
  if (b.family == model::Family::kQwen2) {
    layer.qkv.bias = AddVector({{at + "self_attn.q_proj.bias", 0, q},
                                {at + "self_attn.k_proj.bias", 0, kv},
                                {at + "self_attn.v_proj.bias", 0, kv}},
                               0);
  }
  if (b.family == model::Family::kQwen3) {
    layer.q_norm = AddVector({{at + "self_attn.q_norm.weight", 0, b.head_dim}}, 1);
    layer.k_norm = AddVector({{at + "self_attn.k_norm.weight", 0, b.head_dim}}, 1);
  }
  layer.output.weight =
      AddMatrix({{at + "self_attn.o_proj.weight", 0, b.hidden_size}}, q, residual, seed);
  layer.post_norm.gain = AddVector({{at + "post_attention_layernorm.weight", 0, b.hidden_size}}, 1);
  std::vector<ParameterPart> up = {{at + "mlp.up_proj.weight", 0, b.ffn_hidden}};
  if (b.ffn == model::FfnKind::kGated) {
    up.insert(up.begin(), {at + "mlp.gate_proj.weight", 0, b.ffn_hidden});
  }
  layer.up.weight = AddMatrix(std::move(up), b.hidden_size, kDeviation, seed);
  layer.down.weight =
      AddMatrix({{at + "mlp.down_proj.weight", 0, b.hidden_size}}, b.ffn_hidden, residual, seed);
  layers_.push_back(layer);
}

void Transformer::Build(uint64_t seed) {
  const model::Blueprint& b = blueprint_;
  embedding_ =
      AddMatrix({{"model.embed_tokens.weight", 0, b.vocab_size}}, b.hidden_size, kDeviation, seed);
  for (int64_t i = 0; i < b.num_layers; ++i) BuildLayer(i, seed);
  final_norm_.gain = AddVector({{"model.norm.weight", 0, b.hidden_size}}, 1);
  head_ = b.tie_embeddings
              ? embedding_
              : AddMatrix({{"lm_head.weight", 0, b.vocab_size}}, b.hidden_size, kDeviation, seed);
  BuildRope();
}

void Transformer::BuildRope() {
  const int64_t half = blueprint_.head_dim / 2;
  cos_ = at::empty({blueprint_.context, half});
  sin_ = at::empty({blueprint_.context, half});
  const std::vector<double> frequencies = model::RopeInverseFrequencies(
      blueprint_.head_dim, blueprint_.rope_theta, blueprint_.rope_scaling);
  for (int64_t t = 0; t < blueprint_.context; ++t) {
    for (int64_t i = 0; i < half; ++i) {
      const double turn = static_cast<double>(t) * frequencies[i];
      cos_.data_ptr<float>()[t * half + i] = static_cast<float>(std::cos(turn));
      sin_.data_ptr<float>()[t * half + i] = static_cast<float>(std::sin(turn));
    }
  }
}

void Transformer::BuildGpt2Layer(int64_t index, uint64_t seed) {
  const model::Blueprint& b = blueprint_;
  const std::string at = absl::StrCat("transformer.h.", index, ".");
  const double residual = kDeviation / std::sqrt(2.0 * static_cast<double>(b.num_layers));
  const auto norm = [&](const char* name) {
    return Norm{AddVector({{absl::StrCat(at, name, ".weight"), 0, b.hidden_size}}, 1),
                AddVector({{absl::StrCat(at, name, ".bias"), 0, b.hidden_size}}, 0)};
  };
  const auto linear = [&](const char* name, int64_t in, int64_t out, double deviation) {
    return Linear{AddMatrix({{absl::StrCat(at, name, ".weight"), 0, in}}, out, deviation, seed),
                  AddVector({{absl::StrCat(at, name, ".bias"), 0, out}}, 0)};
  };
  Layer layer;
  layer.input_norm = norm("ln_1");
  layer.qkv = linear("attn.c_attn", b.hidden_size, 3 * b.hidden_size, kDeviation);
  layer.output = linear("attn.c_proj", b.hidden_size, b.hidden_size, residual);
  layer.post_norm = norm("ln_2");
  layer.up = linear("mlp.c_fc", b.hidden_size, b.ffn_hidden, kDeviation);
  layer.down = linear("mlp.c_proj", b.ffn_hidden, b.hidden_size, residual);
  layers_.push_back(layer);
}

void Transformer::BuildGpt2(uint64_t seed) {
  const model::Blueprint& b = blueprint_;
  embedding_ =
      AddMatrix({{"transformer.wte.weight", 0, b.vocab_size}}, b.hidden_size, kDeviation, seed);
  positions_ =
      AddMatrix({{"transformer.wpe.weight", 0, b.context}}, b.hidden_size, kDeviation, seed);
  for (int64_t i = 0; i < b.num_layers; ++i) BuildGpt2Layer(i, seed);
  final_norm_ = {AddVector({{"transformer.ln_f.weight", 0, b.hidden_size}}, 1),
                 AddVector({{"transformer.ln_f.bias", 0, b.hidden_size}}, 0)};
  head_ = b.tie_embeddings
              ? embedding_
              : AddMatrix({{"lm_head.weight", 0, b.vocab_size}}, b.hidden_size, kDeviation, seed);
}

void Transformer::MarkLayers() {
  for (const Layer& layer : layers_) {
    for (const Linear& linear : {layer.qkv, layer.output, layer.up, layer.down}) {
      parameters_[linear.weight].in_layer = true;
      parameters_[linear.weight].turned = blueprint_.family == model::Family::kGpt2;
    }
  }
}

at::Tensor Transformer::Normed(const at::Tensor& x, const Norm& norm) const {
  return norm.shift < 0 ? RmsNorm(x, At(norm.gain), blueprint_.norm_eps)
                        : LayerNorm(x, At(norm.gain), At(norm.shift), blueprint_.norm_eps);
}

LinearLayer Transformer::LayerOf(const Linear& linear) const {
  return {At(linear.weight), AtOrNone(linear.bias), blueprint_.family == model::Family::kGpt2};
}

at::Tensor Transformer::InBf16(const Linear& linear, const at::Tensor& x) const {
  const LinearLayer layer = LayerOf(linear);
  const at::Tensor weight = layer.turned ? layer.weight : layer.weight.t();
  const at::Tensor product = at::mm(x.to(at::kBFloat16), weight.to(at::kBFloat16)).to(at::kFloat);
  return layer.bias.defined() ? product + layer.bias : product;
}

at::Tensor Transformer::Applied(const Linear& linear, const at::Tensor& x) const {
  return execution_.bf16 ? InBf16(linear, x) : ApplyLinear(x, LayerOf(linear));
}

at::Tensor Transformer::AddTo(const at::Tensor& base, const Linear& linear,
                              const at::Tensor& x) const {
  return execution_.bf16 ? base + InBf16(linear, x) : AddLinear(base, x, LayerOf(linear));
}

at::Tensor Transformer::Attention(const at::Tensor& x, const Layer& layer,
                                  const Sequences& sequences, Heads* traced) const {
  const kernels::HeadLayout layout{.num_heads = blueprint_.num_heads,
                                   .num_kv_heads = blueprint_.num_kv_heads,
                                   .head_dim = blueprint_.head_dim,
                                   .sequence = sequences.length};
  const Heads heads = SplitHeads(Applied(layer.qkv, Normed(x, layer.input_norm)), layout,
                                 {.q_gain = AtOrNone(layer.q_norm),
                                  .k_gain = AtOrNone(layer.k_norm),
                                  .eps = blueprint_.norm_eps,
                                  .cos = cos_,
                                  .sin = sin_});
  if (traced != nullptr) *traced = heads;
  return AddTo(x, layer.output, CausalAttention(heads, sequences.starts));
}

at::Tensor Transformer::FeedForward(const at::Tensor& x, const Layer& layer) const {
  const at::Tensor up = Applied(layer.up, Normed(x, layer.post_norm));
  return AddTo(x, layer.down, blueprint_.ffn == model::FfnKind::kGated ? SwiGlu(up) : Gelu(up));
}

at::Tensor Transformer::Embedded(const at::Tensor& ids) const {
  const at::Tensor tokens =
      at::embedding(At(embedding_), ids.reshape({-1}).to(embedding().device()));
  if (positions_ < 0) return tokens;
  const int64_t batch = ids.size(0), sequence = ids.size(1), width = blueprint_.hidden_size;
  return (tokens.view({batch, sequence, width}) + At(positions_).narrow(0, 0, sequence))
      .view({-1, width});
}

at::Tensor Transformer::Hidden(const at::Tensor& ids, Trace* trace) const {
  TORCH_CHECK(ids.dim() == 2 && ids.size(1) <= blueprint_.context,
              "ids must be [B, T] with T up to ", blueprint_.context);
  const Sequences sequences{
      ids.size(1), execution_.separator < 0
                       ? at::Tensor()
                       : DocumentStarts(ids, execution_.separator).to(embedding().device())};
  const bool again = execution_.activation_checkpointing && at::GradMode::is_enabled();
  at::Tensor x = Embedded(ids);
  if (trace != nullptr) *trace = {x, {}};
  for (const Layer& layer : layers_) {
    if (trace == nullptr) {
      const auto through = [this, &layer, sequences](const at::Tensor& input) {
        return FeedForward(Attention(input, layer, sequences, nullptr), layer);
      };
      x = again ? Checkpointed(through, x) : through(x);
      continue;
    }
    LayerTrace& traced = trace->layers.emplace_back();
    const at::Tensor middle = Attention(x, layer, sequences, &traced.heads);
    traced.output = FeedForward(middle, layer);
    traced.attention = middle - x;
    traced.ffn = traced.output - middle;
    x = traced.output;
  }
  return FinalNorm(x);
}

at::Tensor Transformer::FinalNorm(const at::Tensor& stream) const {
  return Normed(stream, final_norm_);
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
