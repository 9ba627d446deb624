// CausalAttention of ops.h. A task is one key/value head of one sequence, with the group of query
// heads that share it, so that no two tasks write the same gradient.
#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/internal/aten_ops.h"
#include "trainer/internal/block_product.h"
#include "trainer/internal/ops.h"
#include "trainer/internal/route.h"

namespace floe::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Queries at once: whole tiles of BlockProduct, so few that little of what the mask hides is
// computed, and their scores stay in the cache.
constexpr int64_t kBlock = 24;
constexpr int64_t kPadding = 16;  // between rows of a transposed head: powers of two share a set

struct Shape {
  explicit Shape(const at::Tensor& q, const at::Tensor& k)
      : batch(q.size(0)),
        num_heads(q.size(1)),
        num_kv_heads(k.size(1)),
        sequence(q.size(2)),
        head_dim(q.size(3)),
        group(num_heads / num_kv_heads),
        scale(1.0f / std::sqrt(static_cast<float>(head_dim))) {}

  int64_t batch, num_heads, num_kv_heads, sequence, head_dim, group;
  float scale;

  int64_t transposed_stride() const { return sequence + kPadding; }
  int64_t transposed_floats() const { return head_dim * transposed_stride(); }
  int64_t head_floats() const { return sequence * head_dim; }
  int64_t out_stride() const { return num_heads * head_dim; }
  // Offset of query head `head` of sequence `b` in [N, H * head_dim].
  int64_t OutAt(int64_t b, int64_t head) const {
    return b * sequence * out_stride() + head * head_dim;
  }
};

// [T, head_dim] -> [head_dim, T], rows `sequence + kPadding` apart.
void Transpose(const Shape& shape, const float* head, float* to) {
  TurnBlock(shape.sequence, shape.head_dim, head, to, shape.transposed_stride());
}

// The keys that a block of queries may see: [from, from + columns), of which row r sees
// [skipped(r), skipped(r) + count(r)). Queries see from the start of their document to themselves.
struct Block {
  Block(const Shape& shape, const int64_t* starts, int64_t first)
      : starts(starts),
        first(first),
        rows(std::min(kBlock, shape.sequence - first)),
        from(starts == nullptr ? 0 : starts[first]),
        columns(first + rows - from) {}

  int64_t skipped(int64_t r) const { return starts == nullptr ? 0 : starts[first + r] - from; }
  int64_t count(int64_t r) const { return first + r + 1 - from - skipped(r); }

  const int64_t* starts;  // of each token of the sequence; never falls. nullptr: all 0
  int64_t first, rows, from, columns;
};

// One query head forward. out has rows of `shape.out_stride()`; keys are transposed.
void HeadForward(const Shape& shape, const int64_t* starts, const float* q, const float* keys,
                 const float* v, float* scores, float* out, float* log_sums) {
  const int64_t width = shape.head_dim;
  for (int64_t first = 0; first < shape.sequence; first += kBlock) {
    const Block block(shape, starts, first);
    BlockProduct(block.rows, block.columns, width, {q + first * width, width}, keys + block.from,
                 shape.transposed_stride(), false, scores, block.columns);
    for (int64_t r = 0; r < block.rows; ++r) {
      float* row = scores + r * block.columns;
      const int64_t skipped = block.skipped(r);
      std::fill_n(row, skipped, 0.0f);
      log_sums[first + r] = kernels::CausalSoftmaxRow(row + skipped, block.count(r),
                                                      block.columns - skipped, shape.scale);
    }
    BlockProduct(block.rows, width, block.columns, {scores, block.columns}, v + block.from * width,
                 width, false, out + first * shape.out_stride(), shape.out_stride());
  }
}

// Of one key/value head: [T, head_dim], and transposed.
struct KeysValues {
  const float* k;
  const float* keys_transposed;
  const float* values_transposed;
};
struct HeadGrads {
  float* dq;
  float* dk;  // added to
  float* dv;  // added to
};

// One query head backward; p and dp have room for a block's scores.
void HeadBackward(const Shape& shape, const int64_t* starts, const float* q, const KeysValues& of,
                  const float* out, const float* dout, const float* log_sums, float* p, float* dp,
                  const HeadGrads& grads) {
  const int64_t width = shape.head_dim, stride = shape.out_stride();
  const int64_t across = shape.transposed_stride();
  for (int64_t first = 0; first < shape.sequence; first += kBlock) {
    const Block block(shape, starts, first);
    const int64_t rows = block.rows, columns = block.columns, from = block.from * width;
    const float* q_rows = q + first * width;
    const float* dout_rows = dout + first * stride;
    BlockProduct(rows, columns, width, {q_rows, width}, of.keys_transposed + block.from, across,
                 false, p, columns);
    BlockProduct(rows, columns, width, {dout_rows, stride}, of.values_transposed + block.from,
                 across, false, dp, columns);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t skipped = block.skipped(r), count = block.count(r), rest = columns - skipped;
      float* p_row = p + r * columns;
      float* dp_row = dp + r * columns;
      std::fill_n(p_row, skipped, 0.0f);
      std::fill_n(dp_row, skipped, 0.0f);
      kernels::CausalSoftmaxAgain(p_row + skipped, count, rest, shape.scale, log_sums[first + r]);
      const float dot = kernels::Dot(dout_rows + r * stride, out + (first + r) * stride, width);
      kernels::CausalSoftmaxBackward(p_row + skipped, dp_row + skipped, dot, count, rest,
                                     shape.scale);
    }
    BlockProduct(columns, width, rows, {p, 1, columns}, dout_rows, stride, true, grads.dv + from,
                 width);
    BlockProduct(rows, width, columns, {dp, columns}, of.k + from, width, false,
                 grads.dq + first * width, width);
    BlockProduct(columns, width, rows, {dp, 1, columns}, q_rows, width, true, grads.dk + from,
                 width);
  }
}

const int64_t* StartsOf(const Shape& shape, const at::Tensor& starts, int64_t sequence) {
  return starts.numel() == 0 ? nullptr : starts.data_ptr<int64_t>() + sequence * shape.sequence;
}

class CausalAttentionFunction : public Function<CausalAttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const at::Tensor& starts) {
    const Shape shape(q, k);
    at::Tensor out = at::empty({shape.batch * shape.sequence, shape.out_stride()});
    at::Tensor log_sums = at::empty({shape.batch, shape.num_heads, shape.sequence});
    const int64_t floats = shape.head_floats();
    at::parallel_for(0, shape.batch * shape.num_kv_heads, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scores(kBlock * shape.sequence), keys(shape.transposed_floats());
      for (int64_t task = begin; task < end; ++task) {
        const int64_t b = task / shape.num_kv_heads, kv = task % shape.num_kv_heads;
        Transpose(shape, k.data_ptr<float>() + task * floats, keys.data());
        for (int64_t g = 0; g < shape.group; ++g) {
          const int64_t head = kv * shape.group + g, at = b * shape.num_heads + head;
          HeadForward(shape, StartsOf(shape, starts, b), q.data_ptr<float>() + at * floats,
                      keys.data(), v.data_ptr<float>() + task * floats, scores.data(),
                      out.data_ptr<float>() + shape.OutAt(b, head),
                      log_sums.data_ptr<float>() + at * shape.sequence);
        }
      }
    });
    context->save_for_backward({q, k, v, out, log_sums, starts});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grad_list) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3];
    const at::Tensor &log_sums = saved[4], &starts = saved[5];
    const at::Tensor dout = grad_list[0].contiguous();
    const Shape shape(q, k);
    at::Tensor dq = at::empty_like(q), dk = at::zeros_like(k), dv = at::zeros_like(v);
    const int64_t floats = shape.head_floats();
    at::parallel_for(0, shape.batch * shape.num_kv_heads, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> p(kBlock * shape.sequence), dp(kBlock * shape.sequence);
      std::vector<float> keys(shape.transposed_floats()), values(shape.transposed_floats());
      for (int64_t task = begin; task < end; ++task) {
        const int64_t b = task / shape.num_kv_heads, kv = task % shape.num_kv_heads;
        Transpose(shape, k.data_ptr<float>() + task * floats, keys.data());
        Transpose(shape, v.data_ptr<float>() + task * floats, values.data());
        for (int64_t g = 0; g < shape.group; ++g) {
          const int64_t head = kv * shape.group + g, at = b * shape.num_heads + head;
          HeadBackward(shape, StartsOf(shape, starts, b), q.data_ptr<float>() + at * floats,
                       {k.data_ptr<float>() + task * floats, keys.data(), values.data()},
                       out.data_ptr<float>() + shape.OutAt(b, head),
                       dout.data_ptr<float>() + shape.OutAt(b, head),
                       log_sums.data_ptr<float>() + at * shape.sequence, p.data(), dp.data(),
                       {.dq = dq.data_ptr<float>() + at * floats,
                        .dk = dk.data_ptr<float>() + task * floats,
                        .dv = dv.data_ptr<float>() + task * floats});
        }
      }
    });
    return {dq, dk, dv, at::Tensor()};
  }
};

}  // namespace

at::Tensor DocumentStarts(const at::Tensor& ids, int64_t separator) {
  at::Tensor starts = at::empty_like(ids);
  const int64_t sequence = ids.size(1);
  const at::Tensor given = ids.contiguous();
  for (int64_t b = 0; b < ids.size(0); ++b) {
    const int64_t* id = given.data_ptr<int64_t>() + b * sequence;
    int64_t start = 0;
    for (int64_t t = 0; t < sequence; ++t) {
      starts.data_ptr<int64_t>()[b * sequence + t] = start;
      if (id[t] == separator) start = t + 1;
    }
  }
  return starts;
}

at::Tensor CausalAttention(const Heads& heads, const at::Tensor& starts) {
  if (!ByKernels(heads.q)) return aten::CausalAttention(heads, starts);
  // Function::apply of LibTorch 1.13 takes no undefined tensors: an empty one stands for none.
  return CausalAttentionFunction::apply(heads.q, heads.k, heads.v,
                                        starts.defined() ? starts : at::empty({0}, at::kLong));
}

}  // namespace floe::trainer
