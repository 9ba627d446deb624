// The decoder-only transformer of a blueprint: qwen3; llama and qwen2, which leave QK-norm out and,
// for qwen2, add biases to q, k and v; gpt2 with LayerNorm, learned positions and biases
// everywhere. Matrices that read the same input are stored as one; gpt2's are [in, out], as its
// checkpoints have them.
//
// Owns its parameters. Not thread-safe: one thread drives it, and the operations inside use all of
// LibTorch's threads. c10 exceptions leave Hidden and Logits; callers catch them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "model/blueprint.h"
#include "model/checkpoint.h"
#include "model/safetensors.h"
#include "trainer/internal/linear.h"
#include "trainer/internal/ops.h"

namespace floe::trainer {

// Rows [first, first + rows) of a parameter under the name that checkpoints give them.
struct ParameterPart {
  std::string name;
  int64_t first = 0;
  int64_t rows = 0;
};

struct Parameter {
  at::Tensor value;  // a leaf that requires gradients; [out, in] ([in, out] in gpt2) or [width]
  std::vector<ParameterPart> parts;
  bool decays = false;    // matrices, the embedding included; not norms and biases
  bool in_layer = false;  // a matrix inside a layer: neither embedding, positions nor head
  bool turned = false;    // [in, out]

  const std::string& name() const { return parts.front().name; }
};

// What a layer did, for those who look into a model.
struct LayerTrace {
  Heads heads;           // normed and turned
  at::Tensor attention;  // [B * T, D]: what attention added to the residual stream
  at::Tensor ffn;        // what the feed-forward layer added
  at::Tensor output;     // the stream behind the layer
};
struct Trace {
  at::Tensor embedded;  // [B * T, D]: the stream before the first layer
  std::vector<LayerTrace> layers;
};

// How passes are computed; no part of the model.
struct Execution {
  // Tokens see their own document alone, where this id ends each; -1: all that comes before.
  int64_t separator = -1;
  // Keeps what enters each layer, and computes the layer again in backward (arXiv:1604.06174). The
  // very same gradients; what is computed must live until then, this object too.
  bool activation_checkpointing = false;
  // The layers' products take bf16 numbers and add in f32; weights and all else stay f32.
  bool bf16 = false;
};

class Transformer {
 public:
  // Normal weights of deviation 0.02; those that write into the residual stream (o_proj, down_proj)
  // of 0.02 / sqrt(2 L); norms 1, biases 0. A function of blueprint and seed alone.
  // INVALID_ARGUMENT as Blueprint::Validate.
  static absl::StatusOr<Transformer> Create(const model::Blueprint& blueprint, uint64_t seed);

  // The weights of a checkpoint, in whatever type of floats they are stored. INVALID_ARGUMENT as
  // Create; FAILED_PRECONDITION for 8-bit weights; DATA_LOSS names a tensor with a number that is
  // not finite.
  static absl::StatusOr<Transformer> Load(const model::Checkpoint& checkpoint);

  // Brings the weights to a device: new tensors without gradients, unless they lie there already.
  void MoveTo(at::Device device);

  // A transformer of the very same weights, whose gradients are its own.
  Transformer Replica() const;

  void set_execution(const Execution& execution) { execution_ = execution; }

  const model::Blueprint& blueprint() const { return blueprint_; }
  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }

  // ids [B, T] int64 on the CPU, T up to the context -> the final norm's output [B * T, D]. A trace
  // is filled when one is given.
  at::Tensor Hidden(const at::Tensor& ids, Trace* trace = nullptr) const;
  // The final norm of a residual stream [N, D].
  at::Tensor FinalNorm(const at::Tensor& stream) const;
  // hidden [N, D] -> [N, V].
  at::Tensor Logits(const at::Tensor& hidden) const;
  // The matrix of the head [V, D]: the embedding when tied.
  const at::Tensor& head() const { return parameters_[head_].value; }
  // The tokens' table [V, D].
  const at::Tensor& embedding() const { return parameters_[embedding_].value; }

  // The tensors of a checkpoint, in the order of model::TensorsOf. Views borrow this object, whose
  // weights lie on the CPU.
  std::vector<model::NamedTensor> Export() const;

 private:
  // Indices into parameters_; -1: not there.
  struct Norm {
    int gain = -1, shift = -1;  // without shift: RMSNorm
  };
  struct Linear {
    int weight = -1, bias = -1;
  };
  struct Layer {
    Norm input_norm, post_norm;
    Linear qkv, output, up, down;  // up holds gate and up where the FFN is gated
    int q_norm = -1, k_norm = -1;
  };

  explicit Transformer(const model::Blueprint& blueprint) : blueprint_(blueprint) {}
  void Build(uint64_t seed);
  void BuildLayer(int64_t index, uint64_t seed);
  void BuildGpt2(uint64_t seed);
  void MarkLayers();
  void BuildGpt2Layer(int64_t index, uint64_t seed);
  int AddMatrix(std::vector<ParameterPart> parts, int64_t columns, double deviation, uint64_t seed);
  int AddVector(std::vector<ParameterPart> parts, float value);
  void BuildRope();
  at::Tensor Normed(const at::Tensor& x, const Norm& norm) const;
  // x W^T + b, and `base` more where it is given.
  LinearLayer LayerOf(const Linear& linear) const;
  at::Tensor InBf16(const Linear& linear, const at::Tensor& x) const;
  at::Tensor Applied(const Linear& linear, const at::Tensor& x) const;
  at::Tensor AddTo(const at::Tensor& base, const Linear& linear, const at::Tensor& x) const;
  at::Tensor Embedded(const at::Tensor& ids) const;
  // Of the tokens of a batch: how long its sequences are, and DocumentStarts or undefined.
  struct Sequences {
    int64_t length = 0;
    at::Tensor starts;
  };
  at::Tensor Attention(const at::Tensor& x, const Layer& layer, const Sequences& sequences,
                       Heads* traced) const;
  at::Tensor FeedForward(const at::Tensor& x, const Layer& layer) const;
  const at::Tensor& At(int index) const { return parameters_[index].value; }
  at::Tensor AtOrNone(int index) const {
    return index < 0 ? at::Tensor() : parameters_[index].value;
  }

  model::Blueprint blueprint_;
  Execution execution_;
  std::vector<Parameter> parameters_;
  std::vector<Layer> layers_;
  int embedding_ = 0, positions_ = -1, head_ = 0;
  Norm final_norm_;
  at::Tensor cos_, sin_;  // [context, head_dim / 2]; undefined in gpt2
};

}  // namespace floe::trainer
