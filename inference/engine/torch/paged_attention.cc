#include "inference/engine/torch/paged_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "inference/engine/attention.h"

namespace floe::inference {
namespace {

constexpr int64_t kMostGathered = 1 << 16;  // positions, of one batch of single rows
constexpr int64_t kMostQueries = 128;       // rows of one sequence whose scores are there at once

int64_t BlocksFor(int64_t positions) { return (positions + kKvBlockTokens - 1) / kKvBlockTokens; }
int64_t End(const SequenceRows& rows) { return rows.first_position + rows.count; }

// Of sequences that bring equally many rows.
AttentionBatch MakeBatch(std::span<const SequenceRows> sequences, at::Device device) {
  int64_t longest = 0;
  for (const SequenceRows& one : sequences) longest = std::max(longest, BlocksFor(End(one)));
  std::vector<int64_t> rows, positions, ends, blocks;
  for (const SequenceRows& one : sequences) {
    for (int64_t i = 0; i < one.count; ++i) {
      rows.push_back(one.first_row + i);
      positions.push_back(one.first_position + i);
    }
    ends.push_back(End(one));
    const int64_t own = BlocksFor(End(one));
    blocks.insert(blocks.end(), one.blocks, one.blocks + own);
    blocks.insert(blocks.end(), static_cast<size_t>(longest - own), one.blocks[0]);
  }
  const auto tensor = [device](const std::vector<int64_t>& values) {
    return at::tensor(at::ArrayRef<int64_t>(values), at::kLong).to(device);
  };
  const auto count = static_cast<int64_t>(sequences.size());
  const at::Tensor seen = at::arange(longest * kKvBlockTokens, tensor(ends).options());
  return {count, tensor(rows), tensor(blocks),
          seen > tensor(positions).view({count, 1, 1, sequences[0].count, 1}),
          seen.unsqueeze(1) >= tensor(ends).view({count, 1, 1, 1})};
}

}  // namespace

std::vector<AttentionBatch> BatchAttention(std::span<const SequenceRows> sequences,
                                           at::Device device) {
  std::vector<AttentionBatch> batches;
  std::vector<SequenceRows> singles;
  for (const SequenceRows& sequence : sequences) {
    if (sequence.count == 1) {
      singles.push_back(sequence);
      continue;
    }
    for (int64_t done = 0; done < sequence.count; done += kMostQueries) {
      const SequenceRows piece{sequence.first_row + done,
                               std::min(kMostQueries, sequence.count - done),
                               sequence.first_position + done, sequence.blocks};
      batches.push_back(MakeBatch({&piece, 1}, device));
    }
  }
  // By length: little is padded.
  std::stable_sort(singles.begin(), singles.end(),
                   [](const SequenceRows& a, const SequenceRows& b) { return End(a) > End(b); });
  for (size_t begin = 0; begin < singles.size();) {
    const auto fit = static_cast<size_t>(std::max<int64_t>(1, kMostGathered / End(singles[begin])));
    const size_t count = std::min(fit, singles.size() - begin);
    batches.push_back(MakeBatch(std::span(singles).subspan(begin, count), device));
    begin += count;
  }
  return batches;
}

PagedAttention::PagedAttention(const model::Blueprint& blueprint, int64_t num_blocks,
                               at::Device device, at::ScalarType type)
    : num_kv_heads_(blueprint.num_kv_heads),
      scale_(1.0 / std::sqrt(static_cast<double>(blueprint.head_dim))) {
  const std::vector<int64_t> shape = {num_blocks, kKvBlockTokens, blueprint.num_kv_heads,
                                      blueprint.head_dim};
  for (int64_t layer = 0; layer < blueprint.num_layers; ++layer) {
    keys_.push_back(at::zeros(shape, at::TensorOptions(device).dtype(type)));
    values_.push_back(at::zeros(shape, at::TensorOptions(device).dtype(type)));
  }
}

void PagedAttention::Write(int64_t layer, const at::Tensor& slots, const at::Tensor& keys,
                           const at::Tensor& values) {
  keys_[layer].flatten(0, 1).index_copy_(0, slots, keys);
  values_[layer].flatten(0, 1).index_copy_(0, slots, values);
}

at::Tensor PagedAttention::Attend(int64_t layer, const at::Tensor& queries,
                                  std::span<const AttentionBatch> batches) const {
  at::Tensor out =
      at::empty({queries.size(0), queries.size(1) * queries.size(2)}, queries.options());
  for (const AttentionBatch& batch : batches) {
    out.index_copy_(0, batch.rows, AttendBatch(layer, queries, batch));
  }
  return out;
}

// The query heads of a group stand beside one another, so that the keys of their head are not
// copied for each of them.
at::Tensor PagedAttention::AttendBatch(int64_t layer, const at::Tensor& queries,
                                       const AttentionBatch& batch) const {
  const int64_t b = batch.sequences;
  const int64_t q = batch.rows.size(0) / b;
  const int64_t head_dim = queries.size(2);
  const int64_t group = queries.size(1) / num_kv_heads_;
  const auto gather = [&](const at::Tensor& pool) {  // [B, kv heads, S, head_dim]
    return pool.index_select(0, batch.blocks)
        .view({b, -1, num_kv_heads_, head_dim})
        .transpose(1, 2);
  };
  const at::Tensor grouped = queries.index_select(0, batch.rows)
                                 .view({b, q, num_kv_heads_, group, head_dim})
                                 .permute({0, 2, 3, 1, 4})
                                 .reshape({b, num_kv_heads_, group * q, head_dim})
                                 .mul(scale_);  // before the product, which 16 bits may not hold
  const at::Tensor scores = at::matmul(grouped, gather(keys_[layer]).transpose(2, 3))
                                .to(at::kFloat)
                                .view({b, num_kv_heads_, group, q, -1})
                                .masked_fill(batch.unseen, -std::numeric_limits<float>::infinity());
  const at::Tensor weights =
      scores.softmax(-1).to(queries.scalar_type()).view({b, num_kv_heads_, group * q, -1});
  // What stands in blocks from before has no weight; were it no number, no weight would not do.
  const at::Tensor values = gather(values_[layer]).masked_fill(batch.absent, 0);
  return at::matmul(weights, values)
      .view({b, num_kv_heads_, group, q, head_dim})
      .permute({0, 3, 1, 2, 4})
      .reshape({b * q, queries.size(1) * head_dim});
}

}  // namespace floe::inference
