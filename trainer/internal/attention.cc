// CausalAttention of ops.h. A task is one key/value head of one sequence, with the group of query
// heads that share it, so that no two tasks write the same gradient.
#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/internal/gemm.h"
#include "trainer/internal/ops.h"

namespace floe::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr int64_t kBlock = 64;  // queries at once; their scores stay in the L2 cache

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

  int64_t head_floats() const { return sequence * head_dim; }
  int64_t out_stride() const { return num_heads * head_dim; }
  // Offset of query head `head` of sequence `b` in [N, H * head_dim].
  int64_t OutAt(int64_t b, int64_t head) const {
    return b * sequence * out_stride() + head * head_dim;
  }
};

// One query head forward. out has rows of `shape.out_stride()`.
void HeadForward(const Shape& shape, const float* q, const float* k, const float* v, float* scores,
                 float* out, float* log_sums) {
  const int64_t width = shape.head_dim;
  for (int64_t first = 0; first < shape.sequence; first += kBlock) {
    const int64_t rows = std::min(kBlock, shape.sequence - first), columns = first + rows;
    Gemm(rows, columns, width, 1, {q + first * width, width}, {k, width, true}, 0, scores, columns);
    for (int64_t r = 0; r < rows; ++r) {
      log_sums[first + r] =
          kernels::CausalSoftmaxRow(scores + r * columns, first + r + 1, columns, shape.scale);
    }
    Gemm(rows, width, columns, 1, {scores, columns}, {v, width}, 0,
         out + first * shape.out_stride(), shape.out_stride());
  }
}

struct HeadGrads {
  float* dq;
  float* dk;  // added to
  float* dv;  // added to
};

// One query head backward: P is computed again from the stored logarithms.
void HeadBackward(const Shape& shape, const float* q, const float* k, const float* v,
                  const float* out, const float* dout, const float* log_sums, float* p, float* dp,
                  const HeadGrads& grads) {
  const int64_t width = shape.head_dim, stride = shape.out_stride();
  for (int64_t first = 0; first < shape.sequence; first += kBlock) {
    const int64_t rows = std::min(kBlock, shape.sequence - first), columns = first + rows;
    const float* q_rows = q + first * width;
    const float* dout_rows = dout + first * stride;
    Gemm(rows, columns, width, 1, {q_rows, width}, {k, width, true}, 0, p, columns);
    Gemm(rows, columns, width, 1, {dout_rows, stride}, {v, width, true}, 0, dp, columns);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t count = first + r + 1;
      kernels::CausalSoftmaxAgain(p + r * columns, count, columns, shape.scale,
                                  log_sums[first + r]);
      const float dot = kernels::Dot(dout_rows + r * stride, out + (first + r) * stride, width);
      kernels::CausalSoftmaxBackward(p + r * columns, dp + r * columns, dot, count, columns,
                                     shape.scale);
    }
    Gemm(columns, width, rows, 1, {p, columns, true}, {dout_rows, stride}, 1, grads.dv, width);
    Gemm(rows, width, columns, 1, {dp, columns}, {k, width}, 0, grads.dq + first * width, width);
    Gemm(columns, width, rows, 1, {dp, columns, true}, {q_rows, width}, 1, grads.dk, width);
  }
}

class CausalAttentionFunction : public Function<CausalAttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v) {
    const Shape shape(q, k);
    at::Tensor out = at::empty({shape.batch * shape.sequence, shape.out_stride()});
    at::Tensor log_sums = at::empty({shape.batch, shape.num_heads, shape.sequence});
    const int64_t floats = shape.head_floats();
    at::parallel_for(0, shape.batch * shape.num_kv_heads, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scores(kBlock * shape.sequence);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t b = task / shape.num_kv_heads, kv = task % shape.num_kv_heads;
        for (int64_t g = 0; g < shape.group; ++g) {
          const int64_t head = kv * shape.group + g, at = b * shape.num_heads + head;
          HeadForward(shape, q.data_ptr<float>() + at * floats, k.data_ptr<float>() + task * floats,
                      v.data_ptr<float>() + task * floats, scores.data(),
                      out.data_ptr<float>() + shape.OutAt(b, head),
                      log_sums.data_ptr<float>() + at * shape.sequence);
        }
      }
    });
    context->save_for_backward({q, k, v, out, log_sums});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grad_list) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3];
    const at::Tensor &log_sums = saved[4], dout = grad_list[0].contiguous();
    const Shape shape(q, k);
    at::Tensor dq = at::empty_like(q), dk = at::zeros_like(k), dv = at::zeros_like(v);
    const int64_t floats = shape.head_floats();
    at::parallel_for(0, shape.batch * shape.num_kv_heads, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> p(kBlock * shape.sequence), dp(kBlock * shape.sequence);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t b = task / shape.num_kv_heads, kv = task % shape.num_kv_heads;
        for (int64_t g = 0; g < shape.group; ++g) {
          const int64_t head = kv * shape.group + g, at = b * shape.num_heads + head;
          HeadBackward(shape, q.data_ptr<float>() + at * floats,
                       k.data_ptr<float>() + task * floats, v.data_ptr<float>() + task * floats,
                       out.data_ptr<float>() + shape.OutAt(b, head),
                       dout.data_ptr<float>() + shape.OutAt(b, head),
                       log_sums.data_ptr<float>() + at * shape.sequence, p.data(), dp.data(),
                       {.dq = dq.data_ptr<float>() + at * floats,
                        .dk = dk.data_ptr<float>() + task * floats,
                        .dv = dv.data_ptr<float>() + task * floats});
        }
      }
    });
    return {dq, dk, dv};
  }
};

}  // namespace

at::Tensor CausalAttention(const Heads& heads) {
  return CausalAttentionFunction::apply(heads.q, heads.k, heads.v);
}

}  // namespace floe::trainer
