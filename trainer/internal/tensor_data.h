// What functions of autograd read of a tensor of floats, in the trainer's operations.
#pragma once

#include "trainer/internal/torch_compat.h"

namespace floe::trainer {

inline float* Data(const at::Tensor& tensor) { return tensor.data_ptr<float>(); }

// Function::apply of LibTorch 1.13 takes no undefined tensors: an empty one stands for none.
inline at::Tensor OrEmpty(const at::Tensor& tensor) {
  return tensor.defined() ? tensor : at::empty({0});
}
inline const float* DataOrNull(const at::Tensor& tensor) {
  return tensor.numel() > 0 ? tensor.data_ptr<float>() : nullptr;
}

}  // namespace floe::trainer
