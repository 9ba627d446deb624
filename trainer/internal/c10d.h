// What of LibTorch's c10d the trainer includes. Its headers show Gloo only to who says that this
// LibTorch was built with it, as Debian's is; a wrong claim does not link.
#pragma once

#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
