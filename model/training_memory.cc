#include "model/training_memory.h"

#include <algorithm>

#include "model/accounting.h"

namespace floe::model {
namespace {

constexpr int64_t kF32Bytes = 4;
constexpr int64_t kBf16Bytes = 2;
// A chunk of logits is about 8 MB of 32-bit numbers, and at least so many rows.
constexpr int64_t kLogitChunk = int64_t{1} << 21;
constexpr int64_t kLeastLogitRows = 32;

int64_t Saturated(double bytes) {
  constexpr int64_t kLargest = int64_t{1} << 58;
  return bytes < static_cast<double>(kLargest) ? static_cast<int64_t>(bytes) : kLargest;
}

struct Widths {
  double hidden, q, kv, ffn;
};
Widths WidthsOf(const Blueprint& b) {
  return {static_cast<double>(b.hidden_size), static_cast<double>(b.num_heads * b.head_dim),
          static_cast<double>(b.num_kv_heads * b.head_dim), static_cast<double>(b.ffn_hidden)};
}

// Numbers a token that the backward pass of one layer reads again.
struct KeptNumbers {
  double values = 0;      // inputs of products and of the small operations
  double statistics = 0;  // always 32 bits
};
KeptNumbers KeptOfLayer(const Blueprint& b) {
  const Widths w = WidthsOf(b);
  KeptNumbers kept;
  // Two norms keep what enters them; the products after them keep what leaves. Queries, keys and
  // values as they leave the product, and as attention takes them; what attention gives.
  kept.values = 4 * w.hidden + 2 * (w.q + 2 * w.kv) + w.q;
  // Gate, up and their product; or up and what its activation gives.
  kept.values += (b.ffn == FfnKind::kGated ? 3 : 2) * w.ffn;
  // A deviation a norm (LayerNorm: a mean too), the logarithm of a sum a head, a deviation a normed
  // head.
  kept.statistics = b.family == Family::kGpt2 ? 4 : 2;
  kept.statistics += static_cast<double>(b.num_heads);
  if (b.family == Family::kQwen3) {
    kept.statistics += static_cast<double>(b.num_heads + b.num_kv_heads);
  }
  return kept;
}

double OptimizerNumbers(const Blueprint& b, const ParameterCounts& counts, OptimizerKind kind) {
  const double all = static_cast<double>(counts.Total());
  if (kind == OptimizerKind::kAdamW) return 2 * all;
  return 2 * all - static_cast<double>(counts.attention + counts.ffn);
}

// The most that lives for a moment beside all that is kept: the gradient of the head, which is made
// first; then a chunk of logits, or the gradients inside the last layer's FFN or attention.
double Workspace(const Blueprint& b, double tokens, double value_bytes) {
  const Widths w = WidthsOf(b);
  const double vocab = static_cast<double>(b.vocab_size);
  const int64_t rows = std::max(kLeastLogitRows, kLogitChunk / b.vocab_size);
  const double logits = kF32Bytes * std::min(static_cast<double>(rows), tokens) * vocab;
  const double inner = (b.ffn == FfnKind::kGated ? 3 : 2) * w.ffn;
  const double attention = w.q + 2 * (w.q + 2 * w.kv);
  const double layer = value_bytes * tokens * (2 * w.hidden + std::max(inner, attention));
  return kF32Bytes * vocab * w.hidden + std::max(logits, layer);
}

}  // namespace

TrainingMemory EstimateTrainingMemory(const Blueprint& b, const TrainingMemoryOptions& options) {
  const ParameterCounts counts = CountParameters(b);
  const bool mixed = options.precision == TrainingPrecision::kBf16Mixed;
  const double parameters = static_cast<double>(counts.Total());
  const double value_bytes = mixed ? kBf16Bytes : kF32Bytes;
  const int64_t length = options.sequence_length > 0 ? options.sequence_length : b.context;
  const double tokens = static_cast<double>(options.batch_size) * static_cast<double>(length);
  const double layers = static_cast<double>(b.num_layers);
  const double hidden = value_bytes * static_cast<double>(b.hidden_size);

  const KeptNumbers kept = KeptOfLayer(b);
  const double layer = value_bytes * kept.values + kF32Bytes * kept.statistics;
  // The final norm keeps what enters it and what leaves it; that is gone when the first layer is
  // computed again, whose own input is then counted with the rest of it.
  const double activations = options.activation_checkpointing ? (layers - 1) * hidden + layer
                                                              : 2 * hidden + layers * layer;
  const double sharers =
      options.shard_optimizer ? static_cast<double>(std::max<int64_t>(1, options.devices)) : 1;
  return {
      .weights = Saturated(parameters * (mixed ? kF32Bytes + kBf16Bytes : kF32Bytes)),
      .gradients = Saturated(parameters * kF32Bytes),
      .optimizer = Saturated(kF32Bytes * OptimizerNumbers(b, counts, options.optimizer) / sharers),
      .activations = Saturated(tokens * activations),
      .workspace = Saturated(Workspace(b, tokens, value_bytes))};
}

}  // namespace floe::model
