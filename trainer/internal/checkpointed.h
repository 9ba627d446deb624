// A part of a model whose inside is not kept for backward but computed again there (Chen et al.
// 2016, arXiv:1604.06174): less memory for a second forward pass.
#pragma once

#include <functional>

#include "trainer/internal/torch_compat.h"

namespace floe::trainer {

// compute(x), which must be a function of x and of parameters alone; both passes do the very same
// operations, so values and gradients are bit for bit those of compute(x). Gradients of parameters
// are added to them during backward, where `compute` is called once more: what it borrows must live
// until then. x requires a gradient.
at::Tensor Checkpointed(std::function<at::Tensor(const at::Tensor&)> compute, const at::Tensor& x);

}  // namespace floe::trainer
