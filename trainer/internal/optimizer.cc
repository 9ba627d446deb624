#include "trainer/internal/optimizer.h"

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"
#include "trainer/internal/aten_ops.h"
#include "trainer/internal/route.h"

namespace floe::trainer {
namespace {

constexpr int64_t kRun = 1 << 16;  // numbers a task

bool TakenByMuon(const Parameter& parameter, const TrainSettings& settings) {
  return settings.optimizer == OptimizerKind::kMuon && parameter.in_layer;
}

std::vector<Parameter*> Those(std::vector<Parameter>& parameters, const TrainSettings& settings,
                              bool of_muon) {
  std::vector<Parameter*> those;
  for (Parameter& parameter : parameters) {
    if (TakenByMuon(parameter, settings) == of_muon) those.push_back(&parameter);
  }
  return those;
}

}  // namespace

double GradNorm(const std::vector<Parameter>& parameters) {
  if (!parameters.empty() && !ByKernels(parameters.front().value)) {
    std::vector<at::Tensor> grads;
    for (const Parameter& parameter : parameters) {
      if (parameter.value.grad().defined()) grads.push_back(parameter.value.grad());
    }
    return grads.empty() ? 0 : aten::Norm(grads);
  }
  double sum = 0;
  for (const Parameter& parameter : parameters) {
    const at::Tensor& grad = parameter.value.grad();
    if (!grad.defined()) continue;
    const float* values = grad.data_ptr<float>();
    const int64_t count = grad.numel(), runs = (count + kRun - 1) / kRun;
    std::vector<double> sums(static_cast<size_t>(runs));
    at::parallel_for(0, runs, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        sums[static_cast<size_t>(r)] =
            kernels::SumOfSquares(values + r * kRun, std::min(kRun, count - r * kRun));
      }
    });
    for (const double part : sums) sum += part;
  }
  return std::sqrt(sum);
}

Optimizer::Optimizer(std::vector<Parameter>& parameters, const TrainSettings& settings)
    : parameters_(parameters),
      settings_(settings),
      muon_(Those(parameters, settings, /*of_muon=*/true), settings),
      adamw_(Those(parameters, settings, /*of_muon=*/false), settings) {}

void Optimizer::Step(int64_t step, double learning_rate, double grad_norm) {
  const double clip = settings_.grad_clip;
  // Muon's step does not depend on the length of the gradient.
  muon_.Step(settings_.muon_learning_rate * learning_rate / settings_.learning_rate);
  adamw_.Step(step, learning_rate, clip > 0 && grad_norm > clip ? clip / grad_norm : 1.0);
  for (Parameter& parameter : parameters_) parameter.value.mutable_grad().reset();
}

std::vector<StateTensor> Optimizer::State() const {
  std::vector<StateTensor> tensors = muon_.State();
  for (StateTensor& tensor : adamw_.State()) tensors.push_back(std::move(tensor));
  return tensors;
}

absl::Status Optimizer::Restore(const StateFile& state) {
  FLOE_RETURN_IF_ERROR(muon_.Restore(state));
  return adamw_.Restore(state);
}

}  // namespace floe::trainer
