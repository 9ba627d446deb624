// One class, in one file: a step is a straight way through buffers that only it knows, and every
// part of that way is here, from the embedding to the head. The arithmetic is in kernels, matmul
// and attention.
#include "inference/engine/cpu_engine.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "inference/engine/attention.h"
#include "inference/engine/int8_matmul.h"
#include "inference/engine/kernels.h"
#include "inference/engine/kv_cache.h"
#include "inference/engine/matmul.h"
#include "inference/engine/step_check.h"
#include "inference/engine/weights.h"
#include "inference/engine/worker_pool.h"
#include "model/quantization.h"

namespace floe::inference {
namespace {

// Below this many multiply-adds a loop is done before another thread has woken.
constexpr int64_t kSmallLoop = 40'000;
constexpr int64_t kMostPieces = 1 << 16;  // of one loop

// A token on its way through the layers.
struct Row {
  const int32_t* blocks = nullptr;  // of its sequence
  int64_t position = 0;
};

// Query heads of neighbouring rows of one sequence that share a key/value head.
struct AttentionTile {
  int64_t first_row = 0;
  int64_t num_rows = 0;
  int64_t first_head = 0;  // of the query heads
  int64_t num_heads = 0;
};

// Activations, sized once for max_step_tokens. Rows are padded to 16 floats.
struct Activations {
  AlignedFloats residual;  // (T, D)
  AlignedFloats normed;    // (T, D)
  AlignedFloats qkv;       // (T, (H + 2 kv heads) * head_dim)
  AlignedFloats attended;  // (T, H * head_dim)
  AlignedFloats up;        // (T, 2F): gate, then up; (T, F) where plain. What goes down replaces it
  AlignedFloats angles;    // (T, head_dim): cosines, then sines
  // What weights in 8 bits are multiplied with; as wide as the widest of the above.
  AlignedBuffer<uint8_t> rounded;
  AlignedFloats rounded_scales;
};

class CpuEngine final : public Engine {
 public:
  CpuEngine(const model::Blueprint& blueprint, Weights weights, KvCache kv,
            const CpuEngineOptions& options)
      : blueprint_(blueprint),
        weights_(std::move(weights)),
        kv_(std::move(kv)),
        max_step_tokens_(options.max_step_tokens),
        pool_(options.num_threads) {}

  absl::Status Allocate();

  const model::Blueprint& blueprint() const override { return blueprint_; }
  SequenceId Open(std::string_view salt) override { return kv_.Open(salt); }
  void Close(SequenceId sequence) override { kv_.Close(sequence); }
  int64_t Adopt(SequenceId sequence, std::span<const int32_t> tokens) override {
    return kv_.Adopt(sequence, tokens);
  }
  void Share(SequenceId sequence, std::span<const int32_t> tokens) override {
    kv_.Share(sequence, tokens);
  }
  void Truncate(SequenceId sequence, int64_t length) override { kv_.Truncate(sequence, length); }
  KvHolding Holding(SequenceId sequence) const override { return kv_.Holding(sequence); }
  int64_t Length(SequenceId sequence) const override { return kv_.Length(sequence); }
  KvUsage kv() const override { return kv_.usage(); }
  int64_t max_step_tokens() const override { return max_step_tokens_; }
  absl::Status Reserve(SequenceId sequence, int64_t tokens) override {
    return ReserveTokens(blueprint_, kv_, sequence, tokens);
  }
  absl::Status Step(std::span<const SequenceStep> steps, Logits* logits) override;

 private:
  void Embed(std::span<const SequenceStep> steps);
  void Layer(int64_t layer);
  void Normalise(const Norm& norm, int64_t row, float* to) const;
  void RotateAndStore(const LayerWeights& weights, int64_t layer, int64_t row);
  void TileAttention();
  void AttendTile(int64_t layer, const AttentionTile& tile, int thread);
  void Activate(int64_t row);
  void Head(std::span<const SequenceStep> steps, Logits* logits);
  void Multiply(const PackedMatrix& weights, ConstRows x, const MatMulEpilogue& epilogue, Rows y);
  RoundedRows Round(const ConstRows& x, const PackedMatrix& weights);
  // Calls body for each row, in parallel when a row costs enough.
  void ForRows(int64_t cost_per_row, const std::function<void(int64_t row, int thread)>& body);

  int64_t QkvStride() const {
    return RoundUp16((blueprint_.num_heads + 2 * blueprint_.num_kv_heads) * blueprint_.head_dim);
  }
  // Whole vectors of either half lie within the row: SwiGlu reads no further, where another thread
  // may be writing.
  int64_t UpStride() const {
    const int64_t width = blueprint_.ffn_hidden;
    return RoundUp16(gated() ? width + RoundUp16(width) : width);
  }
  bool gated() const { return blueprint_.ffn == model::FfnKind::kGated; }
  int64_t num_rows() const { return static_cast<int64_t>(rows_.size()); }

  const model::Blueprint blueprint_;
  const Weights weights_;
  KvCache kv_;
  const int64_t max_step_tokens_;
  WorkerPool pool_;
  Activations a_;
  std::vector<float> inverse_frequency_;  // [head_dim / 2]; empty without RoPE
  std::vector<AlignedFloats> scores_;     // one a thread: a row of RoundUp16(context) a query
  AlignedFloats head_rows_;               // (T, D): the rows whose logits are wanted
  std::vector<Row> rows_;
  std::vector<AttentionTile> tiles_;  // of the step, the same in every layer
};

absl::Status CpuEngine::Allocate() {
  const model::Blueprint& b = blueprint_;
  const int64_t t = max_step_tokens_;
  a_.residual = AlignedFloats(t * RoundUp16(b.hidden_size));
  a_.normed = AlignedFloats(t * RoundUp16(b.hidden_size));
  a_.qkv = AlignedFloats(t * QkvStride());
  a_.attended = AlignedFloats(t * RoundUp16(b.num_heads * b.head_dim));
  a_.up = AlignedFloats(t * UpStride());
  a_.angles = AlignedFloats(t * b.head_dim);
  head_rows_ = AlignedFloats(t * RoundUp16(b.hidden_size));
  const int64_t deepest = std::max({b.hidden_size, b.ffn_hidden, b.num_heads * b.head_dim});
  const int64_t groups = weights_.embedding.quantized() ? model::QuantizationGroups(deepest) : 0;
  a_.rounded = AlignedBuffer<uint8_t>(t * groups * kRoundedGroupBytes + 1);
  a_.rounded_scales = AlignedFloats(t * groups + 1);
  for (int i = 0; i < pool_.num_threads(); ++i) {
    scores_.emplace_back(kMaxAttentionQueries * RoundUp16(b.context));
  }
  for (const AlignedFloats* buffer :
       {&a_.residual, &a_.normed, &a_.qkv, &a_.attended, &a_.up, &a_.angles, &a_.rounded_scales,
        &head_rows_, &scores_.back()}) {
    if (buffer->size() == 0 || a_.rounded.size() == 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for the activations of ", t, " tokens; lower max_step_tokens"));
    }
  }
  if (!weights_.positions.empty()) return absl::OkStatus();
  // In 32 bits, as the models were trained with.
  for (const double one : model::RopeInverseFrequencies(b.head_dim, b.rope_theta, b.rope_scaling)) {
    inverse_frequency_.push_back(static_cast<float>(one));
  }
  return absl::OkStatus();
}

absl::Status CpuEngine::Step(std::span<const SequenceStep> steps, Logits* logits) {
  FLOE_RETURN_IF_ERROR(ReserveStep(blueprint_, kv_, max_step_tokens_, steps));
  Embed(steps);
  TileAttention();
  for (int64_t layer = 0; layer < blueprint_.num_layers; ++layer) Layer(layer);
  Head(steps, logits);
  for (const SequenceStep& step : steps) {
    kv_.Advance(step.sequence, static_cast<int64_t>(step.tokens.size()));
  }
  return absl::OkStatus();
}

void CpuEngine::Embed(std::span<const SequenceStep> steps) {
  rows_.clear();
  const int64_t stride = RoundUp16(blueprint_.hidden_size);
  const int64_t half = static_cast<int64_t>(inverse_frequency_.size());
  for (const SequenceStep& step : steps) {
    int64_t position = kv_.Length(step.sequence);
    for (const int32_t token : step.tokens) {
      float* residual = a_.residual.data() + num_rows() * stride;
      weights_.embedding.CopyRow(token, residual);
      if (!weights_.positions.empty()) {
        const float* learned = weights_.positions.data() + position * blueprint_.hidden_size;
        for (int64_t i = 0; i < blueprint_.hidden_size; ++i) residual[i] += learned[i];
      }
      float* cosines = a_.angles.data() + num_rows() * blueprint_.head_dim;
      for (int64_t i = 0; i < half; ++i) {
        const float angle = static_cast<float>(position) * inverse_frequency_[i];
        cosines[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
        cosines[half + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
      }
      rows_.push_back({kv_.Blocks(step.sequence), position++});
    }
  }
}

void CpuEngine::ForRows(int64_t cost_per_row, const std::function<void(int64_t, int)>& body) {
  if (cost_per_row * num_rows() < kSmallLoop) {
    for (int64_t row = 0; row < num_rows(); ++row) body(row, 0);
    return;
  }
  pool_.Run(num_rows(), body);
}

void CpuEngine::Multiply(const PackedMatrix& weights, ConstRows x, const MatMulEpilogue& epilogue,
                         Rows y) {
  const int64_t panels = weights.num_panels();
  const int64_t work = weights.out() * weights.in() * x.count;
  RoundedRows rounded;
  if (weights.quantized()) rounded = Round(x, weights);
  const auto multiply = [&](PanelRange range) {
    if (weights.quantized()) {
      MatMulInt8(weights, rounded, range, epilogue, y);
    } else {
      MatMul(weights, x, range, epilogue, y);
    }
  };
  if (pool_.num_threads() == 1 || work < kSmallLoop) return multiply({0, panels});
  // Nine tenths go in one long piece a thread, whose panels each follow one that fetched them; the
  // rest in short ones, from which the threads that were not held up take more. The first panel of
  // a piece was fetched by nobody, or by another thread: few pieces read memory once.
  const int64_t threads = pool_.num_threads();
  const int64_t part = panels * 9 / (10 * threads);
  const int64_t rest = part * threads;
  const int64_t piece = std::max<int64_t>(4, (panels - rest) / (8 * threads));
  const int64_t pieces = (panels - rest + piece - 1) / piece;
  pool_.Run(threads + pieces, [&](int64_t i, int) {
    multiply(i < threads ? PanelRange{i * part, (i + 1) * part}
                         : PanelRange{rest + (i - threads) * piece,
                                      std::min(panels, rest + (i - threads + 1) * piece)});
  });
}

RoundedRows CpuEngine::Round(const ConstRows& x, const PackedMatrix& weights) {
  const int64_t groups = weights.groups();
  const auto round = [&](int64_t row) {
    RoundRow(x.data + row * x.stride, weights.in(), weights.together(),
             a_.rounded.data() + row * groups * kRoundedGroupBytes,
             a_.rounded_scales.data() + row * groups);
  };
  if (weights.in() * x.count < kSmallLoop) {
    for (int64_t row = 0; row < x.count; ++row) round(row);
  } else {
    pool_.Run(x.count, [&](int64_t row, int) { round(row); });
  }
  return {a_.rounded.data(), a_.rounded_scales.data(), x.count, groups};
}

// From the row's residual.
void CpuEngine::Normalise(const Norm& norm, int64_t row, float* to) const {
  const int64_t width = blueprint_.hidden_size;
  const float* x = a_.residual.data() + row * RoundUp16(width);
  const float eps = static_cast<float>(blueprint_.norm_eps);
  if (norm.shift.empty()) {
    RmsNorm(x, norm.gain.data(), eps, width, to);
  } else {
    LayerNorm(x, {norm.gain.data(), norm.shift.data(), eps}, width, to);
  }
}

// Normalises and turns the heads of one row (neither without RoPE), and stores its keys and values.
// RoPE in the rotate-half form: pairs are (i, i + head_dim / 2). Su et al. 2021, arXiv:2104.09864.
void CpuEngine::RotateAndStore(const LayerWeights& weights, int64_t layer, int64_t row) {
  const model::Blueprint& b = blueprint_;
  const int64_t half = static_cast<int64_t>(inverse_frequency_.size());
  float* qkv = a_.qkv.data() + row * QkvStride();
  const float* cosines = a_.angles.data() + row * b.head_dim;
  const float* sines = cosines + half;
  const float eps = static_cast<float>(b.norm_eps);
  for (int64_t head = 0; head < b.num_heads + b.num_kv_heads; ++head) {
    float* x = qkv + head * b.head_dim;
    const std::vector<float>& gain = head < b.num_heads ? weights.query_norm : weights.key_norm;
    if (!gain.empty()) RmsNorm(x, gain.data(), eps, b.head_dim, x);
    for (int64_t i = 0; i < half; ++i) {
      const float first = x[i];
      const float second = x[i + half];
      x[i] = first * cosines[i] - second * sines[i];
      x[i + half] = second * cosines[i] + first * sines[i];
    }
  }
  const float* keys = qkv + b.num_heads * b.head_dim;
  const float* values = keys + b.num_kv_heads * b.head_dim;
  for (int64_t head = 0; head < b.num_kv_heads; ++head) {
    StoreKeyValue(kv_.View(rows_[row].blocks, layer, head), b.head_dim, rows_[row].position,
                  keys + head * b.head_dim, values + head * b.head_dim);
  }
}

// Tiles of at most kMaxAttentionQueries queries: the heads of a group, and as many rows as fit.
void CpuEngine::TileAttention() {
  tiles_.clear();
  const int64_t group = blueprint_.num_heads / blueprint_.num_kv_heads;
  const int64_t heads = std::min<int64_t>(group, kMaxAttentionQueries);
  const int64_t most_rows = kMaxAttentionQueries / heads;
  for (int64_t row = 0; row < num_rows();) {
    int64_t end = row + 1;
    while (end < num_rows() && end - row < most_rows && rows_[end].blocks == rows_[row].blocks) {
      ++end;
    }
    for (int64_t head = 0; head < blueprint_.num_heads; head += heads) {
      // A group of many heads is cut; no tile reaches into the next group.
      const int64_t count = std::min(heads, group - head % group);
      tiles_.push_back({row, end - row, head, count});
      head += count - heads;
    }
    row = end;
  }
}

void CpuEngine::AttendTile(int64_t layer, const AttentionTile& tile, int thread) {
  const model::Blueprint& b = blueprint_;
  const int64_t kv_head = tile.first_head / (b.num_heads / b.num_kv_heads);
  const AttentionShape shape{b.head_dim, 1.0f / std::sqrt(static_cast<float>(b.head_dim)),
                             RoundUp16(b.context)};
  AttentionQuery queries[kMaxAttentionQueries];
  size_t count = 0;
  for (int64_t row = tile.first_row; row < tile.first_row + tile.num_rows; ++row) {
    for (int64_t head = tile.first_head; head < tile.first_head + tile.num_heads; ++head) {
      queries[count++] = {
          a_.qkv.data() + row * QkvStride() + head * b.head_dim,
          a_.attended.data() + row * RoundUp16(b.num_heads * b.head_dim) + head * b.head_dim,
          rows_[row].position + 1};
    }
  }
  Attend({queries, count}, kv_.View(rows_[tile.first_row].blocks, layer, kv_head), shape,
         scores_[thread].data());
}

// The FFN's nonlinearity, in place.
void CpuEngine::Activate(int64_t row) {
  const int64_t width = blueprint_.ffn_hidden;
  float* x = a_.up.data() + row * UpStride();
  if (gated()) {
    SwiGlu(x, x + width, width, x);
  } else {
    GeluTanh(x, width, x);
  }
}

void CpuEngine::Layer(int64_t layer) {
  const model::Blueprint& b = blueprint_;
  const LayerWeights& w = weights_.layers[layer];
  const int64_t t = num_rows();
  const int64_t d_stride = RoundUp16(b.hidden_size);
  const int64_t attended_stride = RoundUp16(b.num_heads * b.head_dim);
  const auto normalise = [&](const Norm& norm) {
    ForRows(b.hidden_size,
            [&](int64_t row, int) { Normalise(norm, row, a_.normed.data() + row * d_stride); });
  };

  normalise(w.attention_norm);
  Multiply(w.qkv.weights, {a_.normed.data(), t, d_stride}, {w.qkv.BiasOrNull(), false},
           {a_.qkv.data(), QkvStride()});
  ForRows(4 * QkvStride(), [&](int64_t row, int) { RotateAndStore(w, layer, row); });
  int64_t positions = 0;
  for (const Row& row : rows_) positions += row.position + 1;
  const auto num_tiles = static_cast<int64_t>(tiles_.size());
  if (2 * positions * b.num_heads * b.head_dim < kSmallLoop) {
    for (const AttentionTile& tile : tiles_) AttendTile(layer, tile, 0);
  } else {
    const int64_t piece = num_tiles / kMostPieces + 1;
    pool_.Run((num_tiles + piece - 1) / piece, [&](int64_t i, int thread) {
      for (int64_t tile = i * piece; tile < std::min(num_tiles, (i + 1) * piece); ++tile) {
        AttendTile(layer, tiles_[tile], thread);
      }
    });
  }
  Multiply(w.attention_out.weights, {a_.attended.data(), t, attended_stride},
           {w.attention_out.BiasOrNull(), true}, {a_.residual.data(), d_stride});

  normalise(w.ffn_norm);
  Multiply(w.up.weights, {a_.normed.data(), t, d_stride}, {w.up.BiasOrNull(), false},
           {a_.up.data(), UpStride()});
  ForRows(4 * b.ffn_hidden, [&](int64_t row, int) { Activate(row); });
  Multiply(w.down.weights, {a_.up.data(), t, UpStride()}, {w.down.BiasOrNull(), true},
           {a_.residual.data(), d_stride});
}

void CpuEngine::Head(std::span<const SequenceStep> steps, Logits* logits) {
  const int64_t stride = RoundUp16(blueprint_.hidden_size);
  int64_t wanted = 0;
  int64_t row = 0;
  logits->hidden_size = blueprint_.hidden_size;
  logits->hidden.clear();
  for (const SequenceStep& step : steps) {
    const int64_t count = static_cast<int64_t>(step.tokens.size());
    for (int64_t i = step.all_logits || step.hidden_states ? 0 : count - 1; i < count; ++i) {
      float* normed = head_rows_.data() + wanted * stride;
      Normalise(weights_.final_norm, row + i, normed);
      if (step.hidden_states) {
        logits->hidden.insert(logits->hidden.end(), normed, normed + blueprint_.hidden_size);
      } else {
        ++wanted;
      }
    }
    row += count;
  }
  logits->vocab = blueprint_.vocab_size;
  logits->stride = RoundUp16(blueprint_.vocab_size);
  logits->values.resize(static_cast<size_t>(wanted * logits->stride));
  if (wanted == 0) return;
  Multiply(weights_.Head(), {head_rows_.data(), wanted, stride}, {},
           {logits->values.data(), logits->stride});
}

KvType KvTypeFor(const model::Checkpoint& checkpoint, const CpuEngineOptions& options) {
  const bool narrow = checkpoint.weight_format() == model::WeightFormat::kInt8;
  return options.kv_type.value_or(narrow ? KvType::kF16 : KvType::kF32);
}

}  // namespace

int64_t KvBlockBytes(const model::Checkpoint& checkpoint, const CpuEngineOptions& options) {
  return KvBlockBytes(checkpoint.blueprint(), KvTypeFor(checkpoint, options));
}

absl::StatusOr<std::unique_ptr<Engine>> CreateCpuEngine(const model::Checkpoint& checkpoint,
                                                        const CpuEngineOptions& options) {
  if (options.num_threads < 1 || options.num_threads > 1024 || options.max_step_tokens < 1 ||
      options.max_step_tokens > 8'192) {
    return absl::InvalidArgumentError(
        absl::StrCat("the engine needs 1 to 1024 threads and 1 to 8192 tokens a step, not ",
                     options.num_threads, " and ", options.max_step_tokens));
  }
  FLOE_ASSIGN_OR_RETURN(Weights weights, LoadWeights(checkpoint, options.num_threads));
  const int64_t blocks = std::max<int64_t>(1, options.kv_bytes / KvBlockBytes(checkpoint, options));
  FLOE_ASSIGN_OR_RETURN(
      KvCache kv, KvCache::Create(checkpoint.blueprint(), blocks, KvTypeFor(checkpoint, options)));
  auto engine = std::make_unique<CpuEngine>(checkpoint.blueprint(), std::move(weights),
                                            std::move(kv), options);
  FLOE_RETURN_IF_ERROR(engine->Allocate());
  return engine;
}

}  // namespace floe::inference
