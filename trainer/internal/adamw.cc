#include "trainer/internal/adamw.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status_macros.h"
#include "trainer/internal/aten_ops.h"
#include "trainer/internal/route.h"
#include "trainer/internal/state_tensors.h"
#include "trainer/internal/tensor_data.h"

namespace floe::trainer {
namespace {

constexpr double kEpsilon = 1e-8;
constexpr int64_t kRun = 1 << 16;  // parameters a task

}  // namespace

AdamW::AdamW(std::vector<Parameter*> parameters, const TrainSettings& settings)
    : parameters_(std::move(parameters)), settings_(settings) {
  for (const Parameter* parameter : parameters_) {
    m_.push_back(at::zeros_like(parameter->value).detach());
    v_.push_back(at::zeros_like(parameter->value).detach());
  }
}

void AdamW::Step(int64_t step, double learning_rate, double grad_scale) {
  kernels::AdamWStep update{
      .learning_rate = static_cast<float>(learning_rate),
      .beta1 = static_cast<float>(settings_.beta1),
      .beta2 = static_cast<float>(settings_.beta2),
      .eps = static_cast<float>(kEpsilon),
      .grad_scale = static_cast<float>(grad_scale),
      .correction1 = static_cast<float>(1 - std::pow(settings_.beta1, static_cast<double>(step))),
      .correction2 = static_cast<float>(1 - std::pow(settings_.beta2, static_cast<double>(step)))};
  for (size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& value = parameters_[i]->value;
    const at::Tensor& grad = value.grad();
    if (!grad.defined()) continue;
    update.weight_decay =
        parameters_[i]->decays ? static_cast<float>(settings_.weight_decay) : 0.0f;
    if (!ByKernels(value)) {
      aten::AdamW(update, grad, value, m_[i], v_[i]);
      continue;
    }
    const float* gradient = grad.data_ptr<float>();
    float* parameter = value.data_ptr<float>();
    at::parallel_for(0, value.numel(), kRun, [&](int64_t begin, int64_t end) {
      kernels::AdamW(update, gradient + begin, end - begin, parameter + begin, Data(m_[i]) + begin,
                     Data(v_[i]) + begin);
    });
  }
}

std::vector<StateTensor> AdamW::State() const {
  std::vector<StateTensor> tensors;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    tensors.push_back(Saved("m/" + parameters_[i]->name(), m_[i]));
    tensors.push_back(Saved("v/" + parameters_[i]->name(), v_[i]));
  }
  return tensors;
}

absl::Status AdamW::Restore(const StateFile& state) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    FLOE_RETURN_IF_ERROR(ReadInto(state, "m/" + parameters_[i]->name(), m_[i]));
    FLOE_RETURN_IF_ERROR(ReadInto(state, "v/" + parameters_[i]->name(), v_[i]));
  }
  return absl::OkStatus();
}

}  // namespace floe::trainer
