#include "trainer/internal/gpt2_ops.h"

#include "trainer/internal/aten_ops.h"
#include "trainer/internal/gpt2_kernels.h"
#include "trainer/internal/route.h"
#include "trainer/internal/row_tasks.h"
#include "trainer/internal/tensor_data.h"

namespace floe::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

class LayerNormFunction : public Function<LayerNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& gain,
                            const at::Tensor& shift, double eps) {
    const int64_t rows = x.size(0), width = x.size(1);
    at::Tensor y = at::empty_like(x), moments = at::empty({rows, 2});
    ForRows(rows, [&](int64_t begin, int64_t end) {
      kernels::LayerNorm(Data(x) + begin * width, Data(gain), Data(shift), static_cast<float>(eps),
                         end - begin, width, Data(y) + begin * width, Data(moments) + 2 * begin);
    });
    context->save_for_backward({x, gain, moments});
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &gain = saved[1], &moments = saved[2];
    const at::Tensor dy = grads[0].contiguous();
    const int64_t rows = x.size(0), width = x.size(1);
    at::Tensor dx = at::empty_like(x);
    at::Tensor gains = ChunkSums(rows, width), shifts = ChunkSums(rows, width);
    ForChunks(rows, [&](int64_t begin, int64_t end, int64_t chunk) {
      const int64_t at = begin * width;
      kernels::LayerNormBackward(Data(dy) + at, Data(x) + at, Data(gain), Data(moments) + 2 * begin,
                                 end - begin, width, Data(dx) + at, Data(gains) + chunk * width,
                                 Data(shifts) + chunk * width);
    });
    return {dx, gains.sum(0), shifts.sum(0), at::Tensor()};
  }
};

class GeluFunction : public Function<GeluFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    at::Tensor y = at::empty_like(x);
    const int64_t width = x.size(1);
    ForRows(x.size(0), [&](int64_t begin, int64_t end) {
      kernels::Gelu(Data(x) + begin * width, (end - begin) * width, Data(y) + begin * width);
    });
    context->save_for_backward({x});
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor dy = grads[0].contiguous();
    at::Tensor dx = at::empty_like(x);
    const int64_t width = x.size(1);
    ForRows(x.size(0), [&](int64_t begin, int64_t end) {
      kernels::GeluBackward(Data(dy) + begin * width, Data(x) + begin * width,
                            (end - begin) * width, Data(dx) + begin * width);
    });
    return {dx};
  }
};

}  // namespace

at::Tensor LayerNorm(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& shift,
                     double eps) {
  if (!ByKernels(x)) return aten::LayerNorm(x, gain, shift, eps);
  return LayerNormFunction::apply(x, gain, shift, eps);
}

at::Tensor Gelu(const at::Tensor& x) {
  return ByKernels(x) ? GeluFunction::apply(x) : aten::Gelu(x);
}

}  // namespace floe::trainer
