#include "trainer/inspection/internal/look.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "model/accounting.h"
#include "tokenizer/unicode/utf8.h"
#include "trainer/internal/train_step.h"
#include "trainer/rng.h"

namespace floe::trainer {
namespace {

constexpr int64_t kWindow = 256;       // tokens read at once, where the context allows
constexpr int64_t kWindowsABatch = 4;  // a pattern of every head exists for so many
constexpr int64_t kPatternLength = 64;
constexpr int64_t kPatterns = 4;
constexpr size_t kShownTokens = 8;
constexpr int64_t kShownNeighbours = 5;

double SumOfSquares(const at::Tensor& x) { return x.to(at::kDouble).square().sum().item<double>(); }

// Sums over the text; divided at the end.
struct Sums {
  int64_t tokens = 0;   // whose next token was guessed
  int64_t windows = 0;  // patterns are means over windows
  double embedding_squares = 0, embedding_loss = 0;
  std::vector<LayerRoles> layers;  // squares and losses while they are summed
};

class Reader {
 public:
  Reader(const Transformer& transformer, const InspectionText& text)
      : transformer_(transformer),
        text_(text),
        window_(std::min({kWindow, transformer.blueprint().context,
                          static_cast<int64_t>(text.ids.size()) - 1})) {
    sums_.layers.resize(transformer.blueprint().num_layers);
    for (LayerRoles& layer : sums_.layers) layer.heads.resize(transformer.blueprint().num_heads);
  }

  absl::Status ReadText(std::stop_token stop) {
    const int64_t windows = (static_cast<int64_t>(text_.ids.size()) - 1) / window_;
    for (int64_t first = 0; first < windows; first += kWindowsABatch) {
      if (stop.stop_requested()) return absl::CancelledError("inspection was stopped");
      ReadWindows(first, std::min(kWindowsABatch, windows - first));
    }
    return absl::OkStatus();
  }

  // Random tokens of the text, said twice.
  void ReadPatterns() {
    const int64_t length = std::min(kPatternLength, transformer_.blueprint().context / 2);
    if (length < 2) return;
    Rng rng(Rng::SeedFor(text_.seed, "induction"));
    at::Tensor ids = at::empty({kPatterns, 2 * length}, at::kLong);
    int64_t* to = ids.data_ptr<int64_t>();
    for (int64_t i = 0; i < kPatterns; ++i, to += 2 * length) {
      for (int64_t t = 0; t < length; ++t) {
        to[t] = to[t + length] = text_.ids[rng.Below(text_.ids.size())];
      }
    }
    Trace trace;
    transformer_.Hidden(ids, &trace);
    for (size_t l = 0; l < trace.layers.size(); ++l) {
      const at::Tensor induction =
          MeanAttentionBack(AttentionPattern(trace.layers[l].heads), length - 1, length);
      for (size_t h = 0; h < sums_.layers[l].heads.size(); ++h) {
        sums_.layers[l].heads[h].induction = induction[static_cast<int64_t>(h)].item<double>();
      }
    }
  }

  void Fill(Inspection& inspection) const {
    const double tokens = static_cast<double>(sums_.tokens);
    const double numbers = tokens * static_cast<double>(transformer_.blueprint().hidden_size);
    const auto windows = static_cast<double>(sums_.windows);
    inspection.embedding_rms = std::sqrt(sums_.embedding_squares / numbers);
    inspection.embedding_read_out_loss = sums_.embedding_loss / tokens;
    inspection.layers = sums_.layers;
    for (LayerRoles& layer : inspection.layers) {
      layer.attention_rms = std::sqrt(layer.attention_rms / numbers);
      layer.ffn_rms = std::sqrt(layer.ffn_rms / numbers);
      layer.residual_rms = std::sqrt(layer.residual_rms / numbers);
      layer.read_out_loss /= tokens;
      for (HeadRoles& head : layer.heads) {
        head.previous_token /= windows;
        head.first_token /= windows;
      }
    }
    inspection.loss = inspection.layers.empty() ? inspection.embedding_read_out_loss
                                                : inspection.layers.back().read_out_loss;
  }

 private:
  double ReadOutLoss(const at::Tensor& stream, const at::Tensor& targets) const {
    return LinearCrossEntropy(transformer_.FinalNorm(stream), transformer_.head(), targets, 1)
        .item<double>();
  }

  void ReadWindows(int64_t first, int64_t count) {
    const auto begin = text_.ids.begin() + first * window_, end = begin + count * window_;
    const MicroBatch batch = MakeMicroBatch({begin, end}, {begin + 1, end + 1}, window_);
    Trace trace;
    transformer_.Hidden(batch.ids, &trace);
    sums_.tokens += count * window_;
    sums_.windows += count;
    sums_.embedding_squares += SumOfSquares(trace.embedded);
    sums_.embedding_loss += ReadOutLoss(trace.embedded, batch.targets);
    const auto weight = static_cast<double>(count);
    for (size_t l = 0; l < trace.layers.size(); ++l) {
      const LayerTrace& layer = trace.layers[l];
      LayerRoles& sums = sums_.layers[l];
      sums.attention_rms += SumOfSquares(layer.attention);
      sums.ffn_rms += SumOfSquares(layer.ffn);
      sums.residual_rms += SumOfSquares(layer.output);
      sums.read_out_loss += ReadOutLoss(layer.output, batch.targets);
      const at::Tensor pattern = AttentionPattern(layer.heads);
      const at::Tensor previous = MeanAttentionBack(pattern, 1, 1);
      const at::Tensor sink =
          pattern.narrow(2, 1, window_ - 1).select(3, 0).mean(at::IntArrayRef({0, 2}));
      for (size_t h = 0; h < sums.heads.size(); ++h) {
        const auto at = static_cast<int64_t>(h);
        sums.heads[h].previous_token += weight * previous[at].item<double>();
        sums.heads[h].first_token += weight * sink[at].item<double>();
      }
    }
  }

  const Transformer& transformer_;
  const InspectionText& text_;
  const int64_t window_;
  Sums sums_;
};

std::string Shown(const tokenizer::Tokenizer& tokenizer, int64_t id) {
  const auto bytes = tokenizer.TokenBytes(static_cast<tokenizer::TokenId>(id));
  return bytes ? tokenizer::ReplaceInvalidUtf8(*bytes) : std::string("?");
}

// A word, maybe with the space before it.
bool IsWord(std::string_view token) {
  if (token.starts_with(' ')) token.remove_prefix(1);
  return token.size() >= 3 && std::all_of(token.begin(), token.end(), [](unsigned char c) {
           return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
         });
}

// The words that the text says most often, so that they were learnt; among equals the smaller id.
std::vector<int64_t> FrequentWords(const InspectionText& text) {
  std::map<int64_t, int64_t> counts;
  for (const int64_t id : text.ids) ++counts[id];
  std::vector<std::pair<int64_t, int64_t>> words;  // (-count, id)
  for (const auto& [id, count] : counts) {
    if (IsWord(Shown(text.tokenizer, id))) words.push_back({-count, id});
  }
  std::sort(words.begin(), words.end());
  if (words.size() > kShownTokens) words.resize(kShownTokens);
  std::vector<int64_t> ids;
  for (const auto& [count, id] : words) ids.push_back(id);
  return ids;
}

std::vector<Neighbours> NearestOf(const Transformer& transformer, const InspectionText& text) {
  const at::Tensor& table = transformer.embedding();  // [V, D]
  const at::Tensor lengths = table.square().sum(1).sqrt().clamp_min(1e-12);
  const int64_t kept = std::min<int64_t>(kShownNeighbours + 1, table.size(0));
  std::vector<Neighbours> found;
  for (const int64_t id : FrequentWords(text)) {
    const at::Tensor cosines = at::mv(table, table[id]) / (lengths * lengths[id]);
    const auto [values, ids] = cosines.topk(kept);
    Neighbours neighbours{Shown(text.tokenizer, id), {}};
    for (int64_t i = 0; i < kept; ++i) {
      const auto other = ids[i].item<int64_t>();
      if (other == id || neighbours.nearest.size() == kShownNeighbours) continue;
      neighbours.nearest.emplace_back(Shown(text.tokenizer, other), values[i].item<double>());
    }
    found.push_back(std::move(neighbours));
  }
  return found;
}

std::vector<ComponentShare> SharesOf(const model::Blueprint& blueprint) {
  const model::ParameterCounts counts = model::CountParameters(blueprint);
  std::vector<ComponentShare> shares;
  for (const auto& [name, count] :
       {std::pair{"embeddings", counts.embeddings}, std::pair{"attention", counts.attention},
        std::pair{"ffn", counts.ffn}, std::pair{"norms", counts.norms},
        std::pair{"head", counts.head}, std::pair{"biases", counts.biases}}) {
    shares.push_back(
        {name, count, static_cast<double>(count) / static_cast<double>(counts.Total())});
  }
  return shares;
}

}  // namespace

at::Tensor AttentionPattern(const Heads& heads) {
  const int64_t groups = heads.q.size(1) / heads.k.size(1), length = heads.q.size(2);
  const at::Tensor k = groups == 1 ? heads.k : heads.k.repeat_interleave(groups, 1);
  const double scale = 1.0 / std::sqrt(static_cast<double>(heads.q.size(3)));
  const at::Tensor future = at::ones({length, length}, at::kBool).triu(1);
  return at::matmul(heads.q, k.transpose(2, 3))
      .mul(scale)
      .masked_fill(future, -INFINITY)
      .softmax(-1);
}

at::Tensor MeanAttentionBack(const at::Tensor& pattern, int64_t distance, int64_t first) {
  // The diagonal's i-th entry is the query i + distance.
  const at::Tensor diagonal = pattern.diagonal(-distance, 2, 3);  // [B, H, T - distance]
  const int64_t skipped = std::max<int64_t>(0, first - distance);
  return diagonal.narrow(2, skipped, diagonal.size(2) - skipped).mean(at::IntArrayRef({0, 2}));
}

absl::StatusOr<Inspection> Look(const Transformer& transformer, const InspectionText& text,
                                std::stop_token stop) {
  const at::NoGradGuard no_gradients;
  Reader reader(transformer, text);
  if (const absl::Status read = reader.ReadText(stop); !read.ok()) return read;
  reader.ReadPatterns();
  Inspection inspection;
  inspection.components = SharesOf(transformer.blueprint());
  reader.Fill(inspection);
  inspection.neighbours = NearestOf(transformer, text);
  return inspection;
}

}  // namespace floe::trainer
