// What the machine computes with: threads, and the BLAS behind LibTorch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

#include "trainer/spec/pretrain_spec.h"
#include "trainer/step_products.h"

namespace floe::trainer {

// Paths of the shared libraries of this process.
std::vector<std::string> LoadedLibraries();

// FAILED_PRECONDITION when `libraries` show that matrix products go to the reference BLAS, which is
// twenty times too slow to train with; its message names the package to install. Pure.
absl::Status JudgeBlas(const std::vector<std::string>& libraries);

// What trains here, for people and for planners: `cpu: <processor>, 2 threads`, or `cuda: <name>`
// of the first of this machine's.
std::string DeviceName(DeviceKind device, int threads);
// The name in the text of an NVIDIA driver's /proc/driver/nvidia/gpus/<bus>/information; "unknown
// device" where it has none. Pure.
std::string GpuName(std::string_view information);
// The processor's name in the text of /proc/cpuinfo; "unknown processor" where it has none. Pure.
std::string ProcessorName(std::string_view cpuinfo);

// Sets LibTorch's threads for work that the calling thread drives, and tells the allocator to keep
// large blocks instead of giving them back after each operation. INVALID_ARGUMENT below 1 thread.
// Process-wide: one owner a process calls it.
absl::Status ConfigureCompute(int threads);

// The kernels that OpenBLAS should be told to take (OPENBLAS_CORETYPE) when it chose those of
// `chosen`: processors that came out behind a release of it are taken for the weakest of all, which
// multiplies at a quarter of their speed. Empty: its own choice is right, or nothing is known.
// Pure.
struct VectorUnits {
  bool avx2 = false, avx512 = false;  // with the parts that OpenBLAS wants of them
};
std::string_view BetterBlasKernels(std::string_view chosen, const VectorUnits& has);

// GLIBC_TUNABLES that let malloc ask for huge pages as well; empty where they already say whether
// it should. Pure.
std::string WithHugePages(std::string_view tunables);

// Starts the program anew, as the same process, with what libraries read from the environment when
// they are loaded; called by main before anything else. Returns when the environment already says
// all of it, or when it cannot.
//
// GOMP_SPINCOUNT: OpenMP's threads sleep soon while they wait for one another. By default they spin
// for milliseconds, and where other programs want the same cores a step takes many times longer.
// Left alone when OMP_WAIT_POLICY is there. OPENBLAS_CORETYPE: see BetterBlasKernels.
// GLIBC_TUNABLES: where the kernel gives huge pages to who asks, a step's weights, gradients and
// activations lie in them: the processor finds a page of 4 KiB anew for each row of a product, and
// reads memory at three fifths of the speed. Older versions of glibc than 2.35 do not know it.
void RestartWithTunedLibraries(char* const argv[]);

// The best of a few products of 1024 x 1024 matrices, in GFLOP/s, with the configured threads.
double MeasureGemmGflops();

// The same of these products one after another, the best of a few rounds of LibTorch's BLAS and of
// gemm.h: what a step that is made of them can reach at most.
double MeasureGemmGflops(std::span<const MatrixProduct> products, int rounds = 10);

// The same of the products of a model's step over so many tokens, measured in a moment.
double MeasureStepGflops(const model::Blueprint& blueprint, int64_t tokens);

// What this build and this machine have for training on CUDA devices.
struct CudaParts {
  bool libtorch = false;  // it has CUDA
  int devices = 0;
  bool nccl = false;  // this build can move a device's memory between processes
};
// OK when so many processes of one run can train on them; otherwise FAILED_PRECONDITION says what
// to build or where to train instead. Pure.
absl::Status JudgeCuda(const CudaParts& has, int64_t processes);
// The same of this machine; OK for the CPU.
absl::Status JudgeDeviceOfThisMachine(DeviceKind device, int64_t processes);

// OK when the processor multiplies bf16 numbers itself, by what /proc/cpuinfo says; without,
// FAILED_PRECONDITION: LibTorch would compute them one by one, slower than f32. Pure.
absl::Status JudgeBf16(std::string_view cpuinfo);
absl::Status JudgeBf16OfThisMachine();

}  // namespace floe::trainer
