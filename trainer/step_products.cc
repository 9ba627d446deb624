#include "trainer/step_products.h"

#include <algorithm>

namespace floe::trainer {

std::vector<MatrixProduct> StepProducts(const model::Blueprint& b, int64_t layers, int64_t tokens) {
  std::vector<MatrixProduct> products;
  // Inputs times weights, gradients times weights, and what both give for the weights, which lie
  // [out, in] or, in GPT-2, [in, out].
  const auto add = [&](int64_t in, int64_t out, bool in_first) {
    products.push_back({tokens, in, out, false, !in_first});
    products.push_back({tokens, out, in, false, in_first});
    products.push_back(in_first ? MatrixProduct{in, tokens, out, true}
                                : MatrixProduct{out, tokens, in, true});
  };
  const bool gpt2 = b.family == model::Family::kGpt2;
  const int64_t q = b.num_heads * b.head_dim, kv = b.num_kv_heads * b.head_dim;
  for (int64_t layer = 0; layer < layers; ++layer) {
    add(b.hidden_size, q + 2 * kv, gpt2);
    add(q, b.hidden_size, gpt2);
    add(b.hidden_size, (b.ffn == model::FfnKind::kGated ? 2 : 1) * b.ffn_hidden, gpt2);
    add(b.ffn_hidden, b.hidden_size, gpt2);
  }
  add(b.hidden_size, b.vocab_size, false);
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
