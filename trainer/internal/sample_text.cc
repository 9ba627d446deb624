#include "trainer/internal/sample_text.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/status_macros.h"
#include "tokenizer/unicode/utf8.h"
#include "trainer/rng.h"

namespace floe::trainer {
namespace {

int64_t Draw(const float* logits, int64_t vocab_size, const SampleOptions& options, Rng& rng) {
  std::vector<int64_t> ids(static_cast<size_t>(vocab_size));
  std::iota(ids.begin(), ids.end(), int64_t{0});
  const int64_t kept = std::min(options.top_k, vocab_size);
  std::partial_sort(ids.begin(), ids.begin() + kept, ids.end(), [&](int64_t a, int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  std::vector<double> weights;
  for (int64_t i = 0; i < kept; ++i) {
    weights.push_back(
        std::exp((logits[ids[static_cast<size_t>(i)]] - logits[ids[0]]) / options.temperature));
  }
  double rest = rng.Uniform() * std::accumulate(weights.begin(), weights.end(), 0.0);
  size_t chosen = 0;
  while (chosen + 1 < weights.size() && rest >= weights[chosen]) rest -= weights[chosen++];
  return ids[chosen];
}

// The ids behind `ids`.
std::vector<tokenizer::TokenId> Continue(const Transformer& transformer,
                                         std::vector<tokenizer::TokenId> ids,
                                         const std::vector<tokenizer::TokenId>& ends,
                                         const SampleOptions& options) {
  const at::NoGradGuard no_grad;
  const size_t asked = ids.size();
  Rng rng(Rng::SeedFor(options.seed, "sample"));
  const auto context = static_cast<size_t>(transformer.blueprint().context);
  for (int64_t i = 0; i < options.max_tokens; ++i) {
    const size_t first = ids.size() > context ? ids.size() - context : 0;
    at::Tensor input = at::empty({1, static_cast<int64_t>(ids.size() - first)}, at::kLong);
    std::copy(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end(),
              input.data_ptr<int64_t>());
    const at::Tensor hidden = transformer.Hidden(input);
    const at::Tensor logits = transformer.Logits(hidden.narrow(0, hidden.size(0) - 1, 1)).cpu();
    const int64_t next = Draw(logits.data_ptr<float>(), logits.size(1), options, rng);
    const auto id = static_cast<tokenizer::TokenId>(next);
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) break;
    ids.push_back(id);
  }
  return {ids.begin() + static_cast<std::ptrdiff_t>(asked), ids.end()};
}

}  // namespace

absl::StatusOr<std::string> SampleText(const Transformer& transformer,
                                       const tokenizer::Tokenizer& tokenizer,
                                       std::string_view prompt, const SampleOptions& options) {
  const auto end = tokenizer.SpecialId("<|endoftext|>");
  std::vector<tokenizer::TokenId> ids = tokenizer.Encode(prompt);
  if (ids.empty() && end) ids.push_back(*end);
  if (ids.empty()) return std::string(prompt);
  std::vector<tokenizer::TokenId> ends;
  if (end) ends.push_back(*end);
  std::vector<tokenizer::TokenId> whole = tokenizer.Encode(prompt);
  for (const tokenizer::TokenId id : Continue(transformer, ids, ends, options)) {
    whole.push_back(id);
  }
  FLOE_ASSIGN_OR_RETURN(const std::string text, tokenizer.Decode(whole));
  return tokenizer::ReplaceInvalidUtf8(text);
}

absl::StatusOr<std::string> ContinueIds(const Transformer& transformer,
                                        const tokenizer::Tokenizer& tokenizer,
                                        const std::vector<tokenizer::TokenId>& prompt,
                                        const std::vector<tokenizer::TokenId>& ends,
                                        const SampleOptions& options) {
  FLOE_ASSIGN_OR_RETURN(const std::string text,
                        tokenizer.Decode(Continue(transformer, prompt, ends, options)));
  return tokenizer::ReplaceInvalidUtf8(text);
}

}  // namespace floe::trainer
