#include "trainer/internal/checkpointed.h"

#include <ATen/core/ivalue.h>

#include <utility>

namespace floe::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using Compute = std::function<at::Tensor(const at::Tensor&)>;

struct Kept final : torch::CustomClassHolder {
  explicit Kept(Compute given) : compute(std::move(given)) {}
  const Compute compute;
};

class CheckpointedFunction : public Function<CheckpointedFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const c10::intrusive_ptr<Kept>& kept) {
    context->save_for_backward({x});
    context->saved_data["kept"] = c10::IValue::make_capsule(kept);
    return kept->compute(x);  // autograd is off here: nothing inside is kept
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto kept =
        c10::static_intrusive_pointer_cast<Kept>(context->saved_data["kept"].toCapsule());
    const at::Tensor x = context->get_saved_variables()[0].detach().requires_grad_();
    at::Tensor y;
    {
      const at::AutoGradMode recording(true);
      y = kept->compute(x);
    }
    y.backward(grads[0]);
    return {x.grad(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Checkpointed(Compute compute, const at::Tensor& x) {
  return CheckpointedFunction::apply(x, c10::make_intrusive<Kept>(std::move(compute)));
}

}  // namespace floe::trainer
