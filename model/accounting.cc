#include "model/accounting.h"

#include "absl/strings/match.h"

#include "base/view.h"

namespace floe::model {
namespace {

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
  // Layers are alike: two of them tell what one is, and a deep model takes no longer to count.
  const auto count = [&](int64_t layers) {
    Blueprint b = blueprint;
    b.num_layers = layers;
    ParameterCounts counts;
    for (const TensorSpec& spec : TensorsOf(b)) {
      ComponentOf(spec.name, counts) += Elements(spec.shape);
    }
    return counts;
  };
  ParameterCounts counts = count(1);
  if (blueprint.num_layers == 1) return counts;
  const ParameterCounts two = count(2);
  for (int64_t ParameterCounts::*part :
       {&ParameterCounts::embeddings, &ParameterCounts::attention, &ParameterCounts::ffn,
        &ParameterCounts::norms, &ParameterCounts::head, &ParameterCounts::biases}) {
    counts.*part += (blueprint.num_layers - 1) * (two.*part - counts.*part);
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

ServingMemory EstimateServingMemory(const Blueprint& b, int64_t sequences, int64_t tokens,
                                    int64_t bytes_per_number) {
  const double cached = static_cast<double>(KvBytesPerToken(b, bytes_per_number)) *
                        static_cast<double>(sequences) * static_cast<double>(tokens);
  return {bytes_per_number * CountParameters(b).Total(), Saturated(cached)};
}

}  // namespace floe::model
