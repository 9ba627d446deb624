// The specification of a job of kind `pretrain`, as people write it (YAML or JSON):
//
//   kind: pretrain                # may be left out
//   model: lexicon                # the model to publish a version of
//   dataset: wordnet              # id or teams/<team>/datasets/<id>, optionally @sha256:<digest>
//   tokenizer: wordnet-4k         # likewise; its size is the model's vocab_size
//   blueprint: {family: qwen3, hidden_size: 256, num_layers: 4, num_heads: 4, num_kv_heads: 2,
//               head_dim: 64, ffn_hidden: 704, context: 256, tie_embeddings: true,
//               rope_theta: 10000, norm_eps: 0.000001}
//   train: {steps: 600, batch_size: 8, sequence_length: 256, gradient_accumulation: 1, ...}
//
// `preset: small` (presets.h) stands for a blueprint and a batch_size; keys of the file go before
// it. Everything under `train` has a default but `steps`; of the blueprint, family (qwen3; llama,
// qwen2 and gpt2 are the others), num_kv_heads (num_heads), head_dim (hidden_size / num_heads), ffn
// (gated; plain in gpt2), tie_embeddings, rope_theta and norm_eps have one; rope_scaling (none) is
// {rope_type: linear, factor: 4} or {rope_type: llama3, factor: 8, low_freq_factor: 1,
// high_freq_factor: 4, original_max_position_embeddings: 8192}, see model/rope.h. What `train`
// leaves out is the default recipe: optimizer muon, schedule wsd with a decay over half of the
// steps, learning_rate 0.004 down to 0; the defaults of TrainSettings below are other kinds' of
// training. Pure: no torch, so that a service can check specifications.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "model/blueprint.h"

namespace floe::trainer {

inline constexpr std::string_view kPretrainJobKind = "pretrain";

// cosine: falls along half a cosine to min_learning_rate. wsd: warm-up, stable, then a linear decay
// over the last `decay_fraction` of the steps.
enum class ScheduleKind { kCosine, kWsd };

// adamw: for every parameter. muon: Muon for the matrices inside the layers, AdamW for the rest.
enum class OptimizerKind { kAdamW, kMuon };

// f32: all numbers. bf16: the layers' products take bf16 numbers; weights, sums and the rest are
// f32.
enum class PrecisionKind { kF32, kBf16 };

// Where weights and optimizer lie and steps are computed.
enum class DeviceKind { kCpu, kCuda };

struct TrainSettings {
  int64_t steps = 0;                  // optimizer steps
  int64_t batch_size = 8;             // sequences a micro-batch
  int64_t sequence_length = 0;        // tokens a sequence; 0 in a file: the context
  int64_t gradient_accumulation = 1;  // micro-batches a step
  double learning_rate = 1e-3;        // the highest
  double min_learning_rate = 1e-4;    // at the end
  int64_t warmup_steps = 20;
  ScheduleKind schedule = ScheduleKind::kCosine;
  double decay_fraction = 0.2;  // of the steps: wsd's decay
  OptimizerKind optimizer = OptimizerKind::kAdamW;
  double muon_learning_rate = 0.02;  // the highest, of what Muon takes
  double weight_decay = 0.1;         // of matrices; never of norms and biases
  double beta1 = 0.9;
  double beta2 = 0.95;
  double grad_clip = 1.0;  // global norm; 0: never
  uint64_t seed = 1;
  int64_t eval_interval = 100;  // steps between held-out losses
  // Steps between samples on the way; none: one with each held-out loss; 0: only those before and
  // after training. They change nothing of the run.
  std::optional<int64_t> sample_interval;
  int64_t checkpoint_interval = 100;      // steps between saved states
  int64_t keep_last = 2;                  // newest saved states that stay
  int64_t keep_every = 0;                 // states of its multiples stay too; 0: none
  bool keep_best = false;                 // the state of the best held-out loss is saved, and stays
  int64_t early_stopping = 0;             // held-out losses in a row that are no better; 0: never
  int64_t max_rewinds = 0;                // back to the last state when training diverges; 0: fail
  double spike_factor = 0;                // of the recent mean: a loss above diverges; 0: never
  double held_out_fraction = 0.02;        // of the documents; 0: no held-out loss
  int64_t held_out_tokens = 32768;        // at most so many are evaluated each time
  std::string sample_prompt = "The ";     // what samples continue
  bool document_mask = false;             // tokens attend to their own document alone
  bool activation_checkpointing = false;  // layers are computed again in backward: less memory
  PrecisionKind precision = PrecisionKind::kF32;
  DeviceKind device = DeviceKind::kCpu;
  int64_t processes = 1;  // that share each step's sequences, on one machine

  bool operator==(const TrainSettings&) const = default;
};

struct PretrainSpec {
  std::string model;
  std::string dataset;
  std::string tokenizer;
  model::Blueprint blueprint;  // vocab_size 0: known once the tokenizer is
  TrainSettings train;
};

std::string_view ScheduleName(ScheduleKind kind);    // "cosine", "wsd"
std::string_view OptimizerName(OptimizerKind kind);  // "adamw", "muon"
std::string_view PrecisionName(PrecisionKind kind);  // "f32", "bf16"
std::string_view DeviceKindName(DeviceKind kind);    // "cpu", "cuda"

// INVALID_ARGUMENT names every line with a mistake and what is wrong there: unknown or repeated
// keys, wrong types, missing keys, dials that do not divide, values out of range. Dials that only
// the vocabulary decides are checked by the blueprint later.
absl::StatusOr<PretrainSpec> ParsePretrainSpec(std::string_view text);

// The same, with the model, dataset and tokenizer that could be read also where other keys are
// wrong, so that what these name can be checked at once with the rest. `spec` is a fresh one.
absl::Status ReadPretrainSpec(std::string_view text, PretrainSpec& spec);

// The same specification with every default filled in, as one line of JSON that ParsePretrainSpec
// reads back to an equal value.
std::string PretrainSpecJson(const PretrainSpec& spec);

}  // namespace floe::trainer
