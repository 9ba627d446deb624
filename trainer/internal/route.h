// Which of two ways an operation goes: the trainer's own kernels, which compute on the CPU, or
// LibTorch's operators (aten_ops.h), which every device has. Each operation asks for itself, by the
// tensor that it is given, so that there is one model and one optimizer for all devices.
#pragma once

#include <c10/util/ThreadLocalDebugInfo.h>

#include "trainer/internal/torch_compat.h"

namespace floe::trainer {

// True on the CPU. So that the other way can be tested there, a thread that holds a
// c10::DebugInfoGuard of kind TEST_INFO takes it too.
inline bool ByKernels(const at::Tensor& tensor) {
  return tensor.is_cpu() &&
         c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::TEST_INFO) == nullptr;
}

}  // namespace floe::trainer
