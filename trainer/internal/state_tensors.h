// Tensors of any device as state files hold them: numbers on the host, whatever computed them.
#pragma once

#include <string>

#include "trainer/internal/torch_compat.h"
#include "trainer/state_file.h"

namespace floe::trainer {

// Borrows the numbers of a contiguous tensor on the CPU; owns a copy of those on another device.
inline StateTensor Saved(std::string name, const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().cpu();  // on the CPU the very same numbers
  StateTensor saved{std::move(name), {host.data_ptr<float>(), static_cast<size_t>(host.numel())}};
  if (!tensor.is_cpu()) saved.owner = std::make_shared<at::Tensor>(host);
  return saved;
}

// What `state` holds under the name, to where the tensor lies. DATA_LOSS as StateFile::Read.
inline absl::Status ReadInto(const StateFile& state, const std::string& name,
                             const at::Tensor& tensor) {
  const at::NoGradGuard no_grad;
  const at::Tensor host = tensor.is_cpu() ? tensor : at::empty(tensor.sizes());
  const absl::Status read =
      state.Read(name, {host.data_ptr<float>(), static_cast<size_t>(host.numel())});
  if (read.ok() && !tensor.is_cpu()) tensor.copy_(host);
  return read;
}

}  // namespace floe::trainer
