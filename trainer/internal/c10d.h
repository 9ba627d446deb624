// What of LibTorch's c10d the trainer includes. Its headers show Gloo and NCCL only to who says
// that this LibTorch was built with them, as Debian's is with Gloo; a wrong claim does not link.
// FLOE_NCCL is a build option.
#pragma once

#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif
#if defined(FLOE_NCCL) && !defined(USE_C10D_NCCL)
#define USE_C10D_NCCL
#endif

#ifdef FLOE_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
