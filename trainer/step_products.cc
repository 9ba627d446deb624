#include "trainer/step_products.h"

#include <algorithm>

namespace floe::trainer {

std::vector<MatrixProduct> StepProducts(const model::Blueprint& b, int64_t layers, int64_t tokens) {
  std::vector<MatrixProduct> products;
  const auto add = [&](int64_t in, int64_t out) {
    products.push_back({tokens, in, out});
    products.push_back({tokens, out, in});
    products.push_back({out, tokens, in});
  };
  const int64_t q = b.num_heads * b.head_dim, kv = b.num_kv_heads * b.head_dim;
  for (int64_t layer = 0; layer < layers; ++layer) {
    add(b.hidden_size, q + 2 * kv);
    add(q, b.hidden_size);
    add(b.hidden_size, (b.ffn == model::FfnKind::kGated ? 2 : 1) * b.ffn_hidden);
    add(b.ffn_hidden, b.hidden_size);
  }
  add(b.hidden_size, b.vocab_size);
  return products;
}

std::vector<MatrixProduct> SampleProducts(const model::Blueprint& blueprint, int64_t tokens) {
  constexpr double kMostFlops = 4e9;  // tens of milliseconds
  constexpr int64_t kLeastTokens = 64;
  const double a_token = FlopsOf(StepProducts(blueprint, 1, 1));
  const auto most = static_cast<int64_t>(kMostFlops / a_token);
  return StepProducts(blueprint, 1, std::min(tokens, std::max(kLeastTokens, most)));
}

double FlopsOf(std::span<const MatrixProduct> products) {
  double flops = 0;
  for (const MatrixProduct& one : products) flops += one.Flops();
  return flops;
}

}  // namespace floe::trainer
