#include "trainer/internal/adamw.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status_macros.h"

namespace floe::trainer {
namespace {

constexpr double kEpsilon = 1e-8;
constexpr int64_t kRun = 1 << 16;  // parameters a task

}  // namespace

AdamW::AdamW(std::vector<Parameter*> parameters, const TrainSettings& settings)
    : parameters_(std::move(parameters)), settings_(settings) {
  for (const Parameter* parameter : parameters_) {
    m_.emplace_back(parameter->value.numel(), 0.0f);
    v_.emplace_back(parameter->value.numel(), 0.0f);
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
    const float* gradient = grad.data_ptr<float>();
    float* parameter = value.data_ptr<float>();
    at::parallel_for(0, value.numel(), kRun, [&](int64_t begin, int64_t end) {
      kernels::AdamW(update, gradient + begin, end - begin, parameter + begin, m_[i].data() + begin,
                     v_[i].data() + begin);
    });
  }
}

std::vector<StateTensor> AdamW::State() const {
  std::vector<StateTensor> tensors;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    tensors.push_back({"m/" + parameters_[i]->name(), m_[i]});
    tensors.push_back({"v/" + parameters_[i]->name(), v_[i]});
  }
  return tensors;
}

absl::Status AdamW::Restore(const StateFile& state) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    FLOE_RETURN_IF_ERROR(state.Read("m/" + parameters_[i]->name(), m_[i]));
    FLOE_RETURN_IF_ERROR(state.Read("v/" + parameters_[i]->name(), v_[i]));
  }
  return absl::OkStatus();
}

}  // namespace floe::trainer
