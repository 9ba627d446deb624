#include "inference/engine/torch/aten_engine.h"

#include <ATen/ATen.h>
#include <torch/cuda.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "inference/engine/kv_blocks.h"
#include "inference/engine/step_check.h"
#include "inference/engine/torch/catch_torch.h"
#include "inference/engine/torch/paged_attention.h"
#include "inference/engine/torch/tensors.h"

namespace floe::inference {
namespace {

at::ScalarType TypeOf(AtenDType dtype) {
  switch (dtype) {
    case AtenDType::kF32:
      return at::kFloat;
    case AtenDType::kBf16:
      return at::kBFloat16;
    case AtenDType::kF16:
      return at::kHalf;
  }
  return at::kFloat;
}

// x / sqrt(mean(x^2) + eps) * gain over the last dimension, in 32 bits.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& gain, double eps) {
  return x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + eps) * gain;
}

// The rows of a step; T of them.
struct StepRows {
  at::Tensor ids;        // [T]
  at::Tensor positions;  // [T]
  at::Tensor slots;      // [T]: where their keys and values go
  std::vector<AttentionBatch> batches;
};

class AtenEngine final : public Engine {
 public:
  AtenEngine(const model::Blueprint& blueprint, ModelTensors model, KvBlocks kv,
             PagedAttention attention, const AtenEngineOptions& options)
      : blueprint_(blueprint),
        model_(std::move(model)),
        kv_(std::move(kv)),
        attention_(std::move(attention)),
        max_step_tokens_(options.max_step_tokens),
        type_(TypeOf(options.dtype)),
        device_(model_.embedding.device()) {}

  const model::Blueprint& blueprint() const override { return blueprint_; }
  SequenceId Open(std::string_view salt) override { return kv_.Open(salt); }
  void Close(SequenceId sequence) override { kv_.Close(sequence); }
  int64_t Adopt(SequenceId sequence, std::span<const int32_t> tokens) override {
    return kv_.Adopt(sequence, tokens);
  }
  void Share(SequenceId sequence, std::span<const int32_t> tokens) override {
    kv_.Share(sequence, tokens);
  }
  void Truncate(SequenceId sequence, int64_t length) override { kv_.Truncate(sequence, length); }
  absl::Status Reserve(SequenceId sequence, int64_t tokens) override {
    return ReserveTokens(blueprint_, kv_, sequence, tokens);
  }
  KvHolding Holding(SequenceId sequence) const override { return kv_.Holding(sequence); }
  int64_t Length(SequenceId sequence) const override { return kv_.Length(sequence); }
  KvUsage kv() const override { return kv_.usage(); }
  int64_t max_step_tokens() const override { return max_step_tokens_; }
  absl::Status Step(std::span<const SequenceStep> steps, Logits* logits) override;

 private:
  StepRows Lay(std::span<const SequenceStep> steps) const;
  at::Tensor Embed(const StepRows& rows) const;
  void Layer(int64_t layer, const StepRows& rows, at::Tensor& residual);
  at::Tensor Attention(int64_t layer, const StepRows& rows, const at::Tensor& normed);
  at::Tensor Rotated(const at::Tensor& heads, const StepRows& rows) const;
  at::Tensor Ffn(const LayerTensors& layer, const at::Tensor& normed) const;
  at::Tensor Normed(const NormTensors& norm, const at::Tensor& residual) const;
  void Head(std::span<const SequenceStep> steps, const at::Tensor& residual, Logits* logits) const;
  at::Tensor OnDevice(const std::vector<int64_t>& values) const {
    return at::tensor(at::ArrayRef<int64_t>(values), at::kLong).to(device_);
  }

  const model::Blueprint blueprint_;
  const ModelTensors model_;
  KvBlocks kv_;
  PagedAttention attention_;
  const int64_t max_step_tokens_;
  const at::ScalarType type_;
  const at::Device device_;
};

absl::Status AtenEngine::Step(std::span<const SequenceStep> steps, Logits* logits) {
  FLOE_RETURN_IF_ERROR(ReserveStep(blueprint_, kv_, max_step_tokens_, steps));
  FLOE_RETURN_IF_ERROR(RunTorch<absl::Status>([&] {
    const StepRows rows = Lay(steps);
    at::Tensor residual = Embed(rows);
    for (int64_t layer = 0; layer < blueprint_.num_layers; ++layer) Layer(layer, rows, residual);
    Head(steps, residual, logits);
    return absl::OkStatus();
  }));
  for (const SequenceStep& step : steps) {
    kv_.Advance(step.sequence, static_cast<int64_t>(step.tokens.size()));
  }
  return absl::OkStatus();
}

StepRows AtenEngine::Lay(std::span<const SequenceStep> steps) const {
  std::vector<int64_t> ids, positions, slots;
  std::vector<SequenceRows> sequences;
  for (const SequenceStep& step : steps) {
    const int32_t* blocks = kv_.Blocks(step.sequence);
    int64_t position = kv_.Length(step.sequence);
    sequences.push_back({static_cast<int64_t>(ids.size()), static_cast<int64_t>(step.tokens.size()),
                         position, blocks});
    for (const int32_t token : step.tokens) {
      ids.push_back(token);
      positions.push_back(position);
      slots.push_back(blocks[position / kKvBlockTokens] * kKvBlockTokens +
                      position % kKvBlockTokens);
      ++position;
    }
  }
  return {OnDevice(ids), OnDevice(positions), OnDevice(slots), BatchAttention(sequences, device_)};
}

at::Tensor AtenEngine::Embed(const StepRows& rows) const {
  at::Tensor residual = model_.embedding.index_select(0, rows.ids).to(at::kFloat);
  if (model_.positions.defined()) residual += model_.positions.index_select(0, rows.positions);
  return residual;
}

at::Tensor AtenEngine::Normed(const NormTensors& norm, const at::Tensor& residual) const {
  if (!norm.shift.defined()) return RmsNorm(residual, norm.gain, blueprint_.norm_eps);
  return at::layer_norm(residual, {blueprint_.hidden_size}, norm.gain, norm.shift,
                        blueprint_.norm_eps);
}

void AtenEngine::Layer(int64_t layer, const StepRows& rows, at::Tensor& residual) {
  const LayerTensors& w = model_.layers[layer];
  residual += Attention(layer, rows, Normed(w.attention_norm, residual).to(type_));
  residual += Ffn(w, Normed(w.ffn_norm, residual).to(type_));
}

// RoPE in the rotate-half form: pairs are (i, i + head_dim / 2). Su et al. 2021, arXiv:2104.09864.
at::Tensor AtenEngine::Rotated(const at::Tensor& heads, const StepRows& rows) const {
  if (!model_.cosines.defined()) return heads;
  const at::Tensor cosines = model_.cosines.index_select(0, rows.positions).unsqueeze(1);
  const at::Tensor sines = model_.sines.index_select(0, rows.positions).unsqueeze(1);
  const std::vector<at::Tensor> half = heads.chunk(2, -1);
  return at::cat({half[0] * cosines - half[1] * sines, half[1] * cosines + half[0] * sines}, -1);
}

at::Tensor AtenEngine::Attention(int64_t layer, const StepRows& rows, const at::Tensor& normed) {
  const model::Blueprint& b = blueprint_;
  const LayerTensors& w = model_.layers[layer];
  const int64_t turned = b.num_heads + b.num_kv_heads;
  const at::Tensor heads = at::linear(normed, w.qkv.weight, w.qkv.bias)
                               .view({normed.size(0), turned + b.num_kv_heads, b.head_dim});
  at::Tensor queries_and_keys = heads.narrow(1, 0, turned).to(at::kFloat);
  if (w.head_gain.defined()) {
    queries_and_keys = RmsNorm(queries_and_keys, w.head_gain, b.norm_eps);
  }
  queries_and_keys = Rotated(queries_and_keys, rows).to(type_);
  attention_.Write(layer, rows.slots, queries_and_keys.narrow(1, b.num_heads, b.num_kv_heads),
                   heads.narrow(1, turned, b.num_kv_heads));
  const at::Tensor attended =
      attention_.Attend(layer, queries_and_keys.narrow(1, 0, b.num_heads), rows.batches);
  return at::linear(attended, w.attention_out.weight, w.attention_out.bias);
}

at::Tensor AtenEngine::Ffn(const LayerTensors& layer, const at::Tensor& normed) const {
  const at::Tensor up = at::linear(normed, layer.up.weight, layer.up.bias);
  at::Tensor active;
  if (blueprint_.ffn == model::FfnKind::kGated) {
    const std::vector<at::Tensor> half = up.chunk(2, -1);
    active = at::silu(half[0]) * half[1];
  } else {
    active = at::gelu(up, "tanh");
  }
  return at::linear(active, layer.down.weight, layer.down.bias);
}

void AtenEngine::Head(std::span<const SequenceStep> steps, const at::Tensor& residual,
                      Logits* logits) const {
  std::vector<int64_t> scored, hidden;
  int64_t row = 0;
  for (const SequenceStep& step : steps) {
    const auto count = static_cast<int64_t>(step.tokens.size());
    for (int64_t i = step.all_logits || step.hidden_states ? 0 : count - 1; i < count; ++i) {
      (step.hidden_states ? hidden : scored).push_back(row + i);
    }
    row += count;
  }
  const auto normed = [&](const std::vector<int64_t>& rows) {
    return Normed(model_.final_norm, residual.index_select(0, OnDevice(rows)));
  };
  const auto copy = [](const at::Tensor& rows, std::vector<float>& to) {
    const at::Tensor here = rows.to(at::kCPU, at::kFloat).contiguous();
    to.assign(here.data_ptr<float>(), here.data_ptr<float>() + here.numel());
  };
  logits->hidden_size = blueprint_.hidden_size;
  logits->hidden.clear();
  if (!hidden.empty()) copy(normed(hidden), logits->hidden);
  logits->vocab = blueprint_.vocab_size;
  logits->stride = blueprint_.vocab_size;
  logits->values.clear();
  if (!scored.empty()) {
    copy(at::linear(normed(scored).to(type_), model_.head), logits->values);
  }
}

absl::Status Check(const AtenEngineOptions& options) {
  if (options.max_step_tokens < 1 || options.max_step_tokens > 8'192) {
    return absl::InvalidArgumentError(
        absl::StrCat("the engine needs 1 to 8192 tokens a step, not ", options.max_step_tokens));
  }
  return options.device == AtenDevice::kCuda ? CheckCuda() : absl::OkStatus();
}

}  // namespace

absl::Status CheckCuda() {
  return RunTorch<absl::Status>([] {
    if (torch::cuda::is_available()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "LibTorch sees no CUDA device: it is built without CUDA, or the driver or the device is "
        "missing; see nvidia-smi, or compute on the processor");
  });
}

absl::StatusOr<std::unique_ptr<Engine>> CreateAtenEngine(const model::Checkpoint& checkpoint,
                                                         const AtenEngineOptions& options) {
  FLOE_RETURN_IF_ERROR(Check(options));
  using Made = absl::StatusOr<std::unique_ptr<Engine>>;
  return RunTorch<Made>([&]() -> Made {
    const at::Device device(options.device == AtenDevice::kCuda ? at::kCUDA : at::kCPU);
    const at::ScalarType type = TypeOf(options.dtype);
    FLOE_ASSIGN_OR_RETURN(ModelTensors model, LoadTensors(checkpoint, device, type));
    const model::Blueprint& blueprint = checkpoint.blueprint();
    const int64_t num_blocks =
        std::max<int64_t>(1, options.kv_bytes / AtenKvBlockBytes(blueprint, options.dtype));
    FLOE_ASSIGN_OR_RETURN(KvBlocks kv, KvBlocks::Create(num_blocks));
    return std::make_unique<AtenEngine>(blueprint, std::move(model), std::move(kv),
                                        PagedAttention(blueprint, num_blocks, device, type),
                                        options);
  });
}

}  // namespace floe::inference
