// All of LibTorch that the trainer includes, and the only place that knows its version. Debian 12
// has 1.13; newer ones (CMAKE_PREFIX_PATH) must work as well. Precompiled: see CMakeLists.txt.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/version.h>

#include <cstdint>
#include <functional>
