#include "model/accounting.h"

#include "absl/strings/match.h"

#include "base/view.h"

namespace floe::model {
namespace {

constexpr int64_t kFloatBytes = 4;

int64_t Elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

int64_t& ComponentOf(const std::string& name, ParameterCounts& counts) {
  const auto has = [&](const char* part) { return absl::StrContains(name, part); };
  if (has("norm") || has(".ln_")) return counts.norms;
  if (absl::EndsWith(name, ".bias")) return counts.biases;
  if (has("attn.")) return counts.attention;
  if (has("mlp.")) return counts.ffn;
  return has("lm_head") ? counts.head : counts.embeddings;
}

// A product that may pass 63 bits, held at a size that no machine has and that sums can still take.
int64_t Saturated(double bytes) {
  constexpr int64_t kLargest = int64_t{1} << 62;
  return bytes < static_cast<double>(kLargest) ? static_cast<int64_t>(bytes) : kLargest;
}

}  // namespace

ParameterCounts CountParameters(const Blueprint& blueprint) {
  ParameterCounts counts;
  for (const TensorSpec& spec : TensorsOf(blueprint)) {
    ComponentOf(spec.name, counts) += Elements(spec.shape);
  }
  return counts;
}

int64_t ForwardFlopsPerToken(const Blueprint& b, int64_t attended) {
  const ParameterCounts counts = CountParameters(b);
  const int64_t multiplied = counts.attention + counts.ffn + b.vocab_size * b.hidden_size;
  return 2 * multiplied + 4 * b.num_layers * b.num_heads * b.head_dim * attended;
}

int64_t TrainingFlopsPerToken(const Blueprint& blueprint, int64_t sequence_length) {
  return 3 * ForwardFlopsPerToken(blueprint, sequence_length);
}

int64_t KvBytesPerToken(const Blueprint& b, int64_t bytes_per_number) {
  return 2 * b.num_layers * b.num_kv_heads * b.head_dim * bytes_per_number;
}

TrainingMemory EstimateTrainingMemory(const Blueprint& b, int64_t batch_size,
                                      int64_t sequence_length) {
  const int64_t weights = kFloatBytes * CountParameters(b).Total();
  // Numbers a token that backward reads again. A layer: the input and output of both norms and the
  // two residual sums; queries, keys and values before and after RoPE and QK-norm, and the
  // attention's output; a row of attention weights a head; the FFN's inner values (gate, its
  // activation, up, product; or up and its activation). Then the logits and their softmax.
  const double q = static_cast<double>(b.num_heads * b.head_dim);
  const double kv = static_cast<double>(b.num_kv_heads * b.head_dim);
  const double inner = b.ffn == FfnKind::kGated ? 4 : 2;
  const double layer = 6.0 * b.hidden_size + 2 * (q + 2 * kv) + q +
                       static_cast<double>(b.num_heads) * sequence_length + inner * b.ffn_hidden;
  const double per_token = b.num_layers * layer + 2.0 * b.vocab_size;
  const double tokens = static_cast<double>(batch_size) * static_cast<double>(sequence_length);
  return {weights, weights, 2 * weights, Saturated(kFloatBytes * tokens * per_token)};
}

ServingMemory EstimateServingMemory(const Blueprint& b, int64_t sequences, int64_t tokens,
                                    int64_t bytes_per_number) {
  const double cached = static_cast<double>(KvBytesPerToken(b, bytes_per_number)) *
                        static_cast<double>(sequences) * static_cast<double>(tokens);
  return {bytes_per_number * CountParameters(b).Total(), Saturated(cached)};
}

}  // namespace floe::model
