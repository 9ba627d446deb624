#include "trainer/internal/muon.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status_macros.h"
#include "trainer/internal/state_tensors.h"

namespace floe::trainer {
namespace {

constexpr double kMomentum = 0.95;
constexpr int kIterations = 5;
// a, b, c of a x + b (x x^T) x + c (x x^T)^2 x: the steepest rise from 0 that still settles.
constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;

}  // namespace

at::Tensor Orthogonalized(const at::Tensor& x) {
  const bool tall = x.size(0) > x.size(1);
  at::Tensor y = tall ? x.t() : x;  // the smaller side makes the smaller products
  y = y / (y.norm() + 1e-7);
  for (int i = 0; i < kIterations; ++i) {
    const at::Tensor gram = at::mm(y, y.t());
    y = at::addmm(y, at::addmm(gram, gram, gram, kB, kC), y, kA, 1);
  }
  return tall ? y.t() : y;
}

Muon::Muon(std::vector<Parameter*> parameters, const TrainSettings& settings)
    : parameters_(std::move(parameters)), settings_(settings) {
  for (const Parameter* parameter : parameters_) {
    momenta_.push_back(at::zeros_like(parameter->value, at::TensorOptions()).detach());
  }
}

void Muon::Step(double learning_rate) {
  const at::NoGradGuard no_gradients;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor value = parameters_[i]->value;
    const at::Tensor& grad = value.grad();
    if (!grad.defined()) continue;
    momenta_[i].lerp_(grad, 1 - kMomentum);
    const at::Tensor ahead = at::lerp(grad, momenta_[i], kMomentum);
    value.mul_(1 - learning_rate * settings_.weight_decay);
    for (const ParameterPart& part : parameters_[i]->parts) {
      const at::Tensor direction = Orthogonalized(ahead.narrow(0, part.first, part.rows));
      const double outs = static_cast<double>(direction.size(parameters_[i]->turned ? 1 : 0));
      const double ins = static_cast<double>(direction.size(parameters_[i]->turned ? 0 : 1));
      value.narrow(0, part.first, part.rows)
          .sub_(direction, learning_rate * std::sqrt(std::max(1.0, outs / ins)));
    }
  }
}

std::vector<StateTensor> Muon::State() const {
  std::vector<StateTensor> tensors;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    tensors.push_back(Saved("m/" + parameters_[i]->name(), momenta_[i]));
  }
  return tensors;
}

absl::Status Muon::Restore(const StateFile& state) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    FLOE_RETURN_IF_ERROR(ReadInto(state, "m/" + parameters_[i]->name(), momenta_[i]));
  }
  return absl::OkStatus();
}

}  // namespace floe::trainer
