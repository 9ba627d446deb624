// A model small enough to write in a test.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/blueprint.h"
#include "model/checkpoint.h"

namespace floe::model {

inline Blueprint SmallBlueprint(Family family) {
  Blueprint b;
  b.family = family;
  b.vocab_size = 32;
  b.hidden_size = 16;
  b.num_layers = 2;
  b.num_heads = 4;
  b.num_kv_heads = family == Family::kGpt2 ? 4 : 2;
  b.head_dim = 4;
  b.ffn_hidden = 24;
  b.ffn = family == Family::kGpt2 ? FfnKind::kPlain : FfnKind::kGated;
  b.context = 64;
  b.tie_embeddings = family != Family::kLlama;
  return b;
}

// Every dial at the most that Validate() allows.
inline Blueprint LargestBlueprint() {
  Blueprint b;
  b.vocab_size = 1 << 24;
  b.hidden_size = 1 << 20;
  b.num_layers = 1 << 10;
  b.num_heads = b.num_kv_heads = 1 << 10;
  b.head_dim = 1 << 12;
  b.ffn_hidden = 1 << 22;
  b.context = 1 << 24;
  b.tie_embeddings = false;
  return b;
}

// Owns the numbers that a checkpoint's contents borrow: each tensor counts up from its own start.
class SmallTensors {
 public:
  explicit SmallTensors(const Blueprint& blueprint) {
    for (const TensorSpec& spec : TensorsOf(blueprint)) {
      size_t count = 1;
      for (const int64_t dim : spec.shape) count *= static_cast<size_t>(dim);
      std::vector<float> values(count);
      for (size_t i = 0; i < count; ++i) {
        values[i] = static_cast<float>(i + numbers_.size()) / 64;
      }
      numbers_.push_back({spec, std::move(values)});
    }
  }

  std::vector<NamedTensor> Named() const {
    std::vector<NamedTensor> named;
    for (const auto& [spec, values] : numbers_) {
      named.push_back({spec.name,
                       {DType::kF32,
                        spec.shape,
                        {reinterpret_cast<const char*>(values.data()), values.size() * 4}}});
    }
    return named;
  }

 private:
  std::vector<std::pair<TensorSpec, std::vector<float>>> numbers_;
};

}  // namespace floe::model
