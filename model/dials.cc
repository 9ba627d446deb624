#include "model/dials.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "model/accounting.h"

namespace floe::model {
namespace {

constexpr int64_t kBlock = 64;
constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kMaxLayers = 1 << 10;
constexpr double kCloseEnough = 0.01;
constexpr int64_t kBillion = 1'000'000'000;

// part / whole of the style, at another width.
double InProportion(int64_t part, int64_t whole, int64_t width) {
  return static_cast<double>(part) * static_cast<double>(width) / static_cast<double>(whole);
}

int64_t Multiple(double value, int64_t of, int64_t most) {
  const auto times = std::llround(value / static_cast<double>(of));
  return of * std::clamp<int64_t>(times, 1, most / of);
}

struct Candidate {
  Blueprint blueprint;
  double miss = 0;  // share of the wanted size
  double shape = 0;
  bool in_proportion = false;  // heads and FFN for the width as the style's, not made to fit

  // Close ones first, by proportions and shape; the others by size.
  auto Rank() const {
    const bool close = miss <= kCloseEnough;
    return std::tuple(!close, close && !in_proportion, close ? shape : miss, miss,
                      blueprint.hidden_size);
  }
};

// Small models have few layers to add: the FFN makes up for what is missing, by a quarter at most.
Blueprint WithFfnFor(Blueprint b, double wanted, double size) {
  const double block = static_cast<double>((b.ffn == FfnKind::kGated ? 3 : 2) * b.hidden_size *
                                           b.num_layers * kBlock);
  const int64_t most = b.ffn_hidden / 4 / kBlock;
  const double blocks =
      std::clamp((wanted - size) / block, -static_cast<double>(most), static_cast<double>(most));
  b.ffn_hidden += kBlock * std::llround(blocks);
  return b;
}

}  // namespace

Blueprint DefaultStyle(int64_t parameters) {
  Blueprint style;
  style.vocab_size = 32000;
  style.context = 4096;
  const bool large = parameters >= kBillion;
  style.hidden_size = large ? 4096 : 1024;
  style.num_layers = large ? 32 : 16;
  style.head_dim = large ? 128 : 64;
  style.num_heads = style.hidden_size / style.head_dim;
  style.num_kv_heads = style.num_heads / 4;
  style.ffn_hidden = large ? 10944 : 2752;
  style.tie_embeddings = !large;
  return style;
}

int64_t WidthStep(const Blueprint& style) { return std::lcm(style.head_dim, kBlock); }

Blueprint Scaled(const Blueprint& style, int64_t hidden_size, int64_t num_layers) {
  Blueprint b = style;
  b.hidden_size = hidden_size;
  b.num_layers = num_layers;
  constexpr int64_t kMostHeads = 1 << 10;
  const int64_t group = style.num_heads / style.num_kv_heads;
  b.num_heads = style.family == Family::kGpt2
                    ? hidden_size / style.head_dim
                    : Multiple(InProportion(style.num_heads, style.hidden_size, hidden_size), group,
                               kMostHeads);
  b.num_kv_heads = b.num_heads / group;
  b.ffn_hidden = Multiple(InProportion(style.ffn_hidden, style.hidden_size, hidden_size), kBlock,
                          int64_t{1} << 22);
  return b;
}

Depths DepthsFor(const Blueprint& style, int64_t hidden_size) {
  const double own = InProportion(style.num_layers, style.hidden_size, hidden_size);
  Depths depths;
  depths.least = std::clamp<int64_t>(std::llround(std::ceil(own / 2)), 1, kMaxLayers);
  depths.most = std::clamp<int64_t>(std::llround(std::floor(own * 2)), depths.least, kMaxLayers);
  return depths;
}

double ShapeDistance(const Blueprint& style, const Blueprint& other) {
  const auto aspect = [](const Blueprint& b) {
    return static_cast<double>(b.hidden_size) / static_cast<double>(b.num_layers);
  };
  return std::abs(std::log(aspect(other) / aspect(style)));
}

std::vector<Blueprint> NearestDials(const Blueprint& style, int64_t parameters, size_t count) {
  std::vector<Candidate> candidates;
  const auto wanted = static_cast<double>(parameters);
  const int64_t step = WidthStep(style);
  for (int64_t width = step; width <= kMaxWidth; width += step) {
    const int64_t one = CountParameters(Scaled(style, width, 1)).Total();
    const int64_t layer = CountParameters(Scaled(style, width, 2)).Total() - one;
    const Depths depths = DepthsFor(style, width);
    const int64_t least = one + (depths.least - 1) * layer;
    const auto wish = (wanted - static_cast<double>(one)) / static_cast<double>(layer) + 1;
    const auto floor = static_cast<int64_t>(std::clamp(wish, 1.0, double{kMaxLayers}));
    for (const int64_t depth : {floor, floor + 1}) {
      const int64_t layers = std::clamp(depth, depths.least, depths.most);
      Blueprint b = Scaled(style, width, layers);
      bool in_proportion = b.num_heads * style.hidden_size == style.num_heads * width;
      auto size = static_cast<double>(one + (layers - 1) * layer);
      if (std::abs(size / wanted - 1) > kCloseEnough) {
        b = WithFfnFor(b, wanted, size);
        size = static_cast<double>(CountParameters(b).Total());
        in_proportion = false;
      }
      if (!b.Validate().ok()) continue;
      candidates.push_back(
          {b, std::abs(size / wanted - 1), ShapeDistance(style, b), in_proportion});
    }
    if (static_cast<double>(least) > 2 * wanted) break;  // wider ones are only larger
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.Rank() < b.Rank(); });
  std::vector<Blueprint> nearest;
  for (const Candidate& candidate : candidates) {
    if (nearest.size() == count) break;
    if (std::find(nearest.begin(), nearest.end(), candidate.blueprint) == nearest.end()) {
      nearest.push_back(candidate.blueprint);
    }
  }
  return nearest;
}

}  // namespace floe::model
