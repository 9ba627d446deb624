#include "trainer/internal/linear.h"

#include "trainer/internal/aten_ops.h"
#include "trainer/internal/gemm.h"
#include "trainer/internal/route.h"
#include "trainer/internal/row_tasks.h"
#include "trainer/internal/tensor_data.h"

namespace floe::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

Matrix Of(const at::Tensor& tensor, bool transposed = false) {
  return {Data(tensor), tensor.size(1), transposed};
}

at::Tensor ColumnSums(const at::Tensor& x) {
  const int64_t rows = x.size(0), width = x.size(1);
  const at::Tensor sums = ChunkSums(rows, width);
  ForChunks(rows, [&](int64_t begin, int64_t end, int64_t chunk) {
    float* sum = Data(sums) + chunk * width;
    for (int64_t r = begin; r < end; ++r) {
      const float* row = Data(x) + r * width;
      for (int64_t i = 0; i < width; ++i) sum[i] += row[i];
    }
  });
  return sums.sum(0);
}

class LinearFunction : public Function<LinearFunction> {
 public:
  // Without a base or a bias: empty.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& base, const at::Tensor& x,
                            const at::Tensor& weight, const at::Tensor& bias, bool turned) {
    const int64_t rows = x.size(0), in = x.size(1), out = weight.size(turned ? 1 : 0);
    const at::Tensor input = x.contiguous();
    at::Tensor y = at::empty({rows, out});
    Gemm(rows, out, in, Of(input), Of(weight, !turned), {DataOrNull(bias), DataOrNull(base)},
         Data(y), out);
    context->save_for_backward({input, weight});
    context->saved_data["turned"] = turned;
    context->saved_data["based"] = base.numel() > 0;
    context->saved_data["biased"] = bias.numel() > 0;
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const bool turned = context->saved_data["turned"].toBool();
    const at::Tensor dy = grads[0].contiguous();
    const int64_t rows = x.size(0), in = x.size(1), out = dy.size(1);
    at::Tensor dx = at::empty_like(x), dweight = at::empty_like(weight);
    Gemm(rows, in, out, Of(dy), Of(weight, turned), {}, Data(dx), in);
    if (turned) {
      Gemm(in, out, rows, Of(x, true), Of(dy), {}, Data(dweight), out);
    } else {
      Gemm(out, in, rows, Of(dy, true), Of(x), {}, Data(dweight), in);
    }
    const at::Tensor none;
    return {context->saved_data["based"].toBool() ? dy : none, dx, dweight,
            context->saved_data["biased"].toBool() ? ColumnSums(dy) : none, none};
  }
};

}  // namespace

at::Tensor ApplyLinear(const at::Tensor& x, const LinearLayer& layer) {
  if (!ByKernels(x)) return aten::Linear({}, x, layer);
  return LinearFunction::apply(at::empty({0}), x, layer.weight, OrEmpty(layer.bias), layer.turned);
}

at::Tensor AddLinear(const at::Tensor& base, const at::Tensor& x, const LinearLayer& layer) {
  if (!ByKernels(x)) return aten::Linear(base, x, layer);
  return LinearFunction::apply(base.contiguous(), x, layer.weight, OrEmpty(layer.bias),
                               layer.turned);
}

}  // namespace floe::trainer
