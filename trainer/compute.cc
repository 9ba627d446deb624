#include "trainer/compute.h"

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/view.h"
#include "trainer/distributed/process_group.h"
#include "trainer/internal/gemm.h"
#include "trainer/internal/torch_compat.h"

namespace floe::trainer {
namespace {

// Empty for another BLAS.
std::string_view ChosenBlasKernels() {
  using Name = char* (*)();
  const auto name = reinterpret_cast<Name>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  return name == nullptr ? std::string_view() : name();
}

VectorUnits UnitsOfThisProcessor() {
#if defined(__x86_64__)
  return {.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
          .avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")};
#else
  return {};
#endif
}

std::string TextOf(const std::filesystem::path& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string CpuInfo() { return TextOf("/proc/cpuinfo"); }

// What stands behind `name:` in a line of the text; empty where no line has it.
std::string FieldOf(std::string_view text, absl::string_view name) {
  for (const absl::string_view line : absl::StrSplit(AbslView(text), '\n')) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::StripAsciiWhitespace(field.first) != name) continue;
    const absl::string_view value = absl::StripAsciiWhitespace(field.second);
    if (!value.empty()) return std::string(value.substr(0, 80));
  }
  return "";
}

std::string FirstGpu() {
  std::error_code error;
  for (const auto& gpu : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", error)) {
    return GpuName(TextOf(gpu.path() / "information"));
  }
  return GpuName("");
}

}  // namespace

std::vector<std::string> LoadedLibraries() {
  std::vector<std::string> paths;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* to) {
        static_cast<std::vector<std::string>*>(to)->emplace_back(info->dlpi_name);
        return 0;
      },
      &paths);
  return paths;
}

absl::Status JudgeBlas(const std::vector<std::string>& libraries) {
  const std::string* reference = nullptr;
  for (const std::string& path : libraries) {
    for (const char* fast : {"libopenblas", "libmkl_", "libblis", "libatlas", "libnvpl_blas"}) {
      if (absl::StrContains(path, fast)) return absl::OkStatus();
    }
    if (absl::StrContains(path, "/libblas.so")) reference = &path;
  }
  if (reference == nullptr) return absl::OkStatus();  // a LibTorch with its own inside
  return absl::FailedPreconditionError(
      absl::StrCat("LibTorch computes with the reference BLAS (", *reference,
                   "), twenty times too slow to train: apt-get install libopenblas0-openmp"));
}

std::string ProcessorName(std::string_view cpuinfo) {
  // x86 says "model name"; arm64 kernels say nothing of the kind.
  const std::string name = FieldOf(cpuinfo, "model name");
  return name.empty() ? "unknown processor" : name;
}

std::string GpuName(std::string_view information) {
  const std::string name = FieldOf(information, "Model");
  return name.empty() ? "unknown device" : name;
}

absl::Status JudgeBf16(std::string_view cpuinfo) {
  for (const absl::string_view line : absl::StrSplit(AbslView(cpuinfo), '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty() ||
        (!absl::StartsWith(line, "flags") && !absl::StartsWith(line, "Features"))) {
      continue;
    }
    // x86's two units, and arm64's.
    for (const absl::string_view unit : {"avx512_bf16", "amx_bf16", "bf16"}) {
      if (std::find(words.begin(), words.end(), unit) != words.end()) return absl::OkStatus();
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("precision: bf16 wants a processor with avx512_bf16, amx_bf16 or arm64's bf16, "
                   "and ",
                   ProcessorName(cpuinfo),
                   " has none of them; leave precision out, or train on another machine"));
}

absl::Status JudgeBf16OfThisMachine() { return JudgeBf16(CpuInfo()); }

absl::Status JudgeCuda(const CudaParts& has, int64_t processes) {
  if (!has.libtorch) {
    return absl::FailedPreconditionError(
        "device: cuda wants a LibTorch that has CUDA, and this program is linked with one that has "
        "not: build with -DCMAKE_PREFIX_PATH=<such a LibTorch>, or train with device: cpu");
  }
  if (has.devices == 0) {
    return absl::FailedPreconditionError(
        "device: cuda, and LibTorch finds no CUDA device here (see nvidia-smi): train on a machine "
        "that has one, or with device: cpu");
  }
  if (processes > 1 && !has.nccl) {
    return absl::FailedPreconditionError(
        absl::StrCat("device: cuda with ", processes,
                     " processes wants NCCL, which this program was built without: build with "
                     "-DFLOE_NCCL=ON, or train with one process"));
  }
  return absl::OkStatus();
}

absl::Status JudgeDeviceOfThisMachine(DeviceKind device, int64_t processes) {
  if (device == DeviceKind::kCpu) return absl::OkStatus();
  return JudgeCuda({.libtorch = at::Context::hasCUDART(),
                    .devices = static_cast<int>(torch::cuda::device_count()),
                    .nccl = ProcessGroup::kHasNccl},
                   processes);
}

std::string DeviceName(DeviceKind device, int threads) {
  if (device == DeviceKind::kCuda) return absl::StrCat("cuda: ", FirstGpu());
  return absl::StrCat("cpu: ", ProcessorName(CpuInfo()), ", ", threads,
                      threads == 1 ? " thread" : " threads");
}

absl::Status ConfigureCompute(int threads) {
  if (threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads is ", threads, "; training needs at least 1"));
  }
  at::set_num_threads(threads);
#ifdef __GLIBC__
  // Without this every large tensor is mapped, zeroed page by page and unmapped again.
  mallopt(M_MMAP_MAX, 0);  // the highest M_MMAP_THRESHOLD is 32 MiB
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_ARENA_MAX, 1);  // other threads' arenas unmap what is free all the same
#endif
  return absl::OkStatus();
}

std::string_view BetterBlasKernels(std::string_view chosen, const VectorUnits& has) {
  if (chosen != "Prescott") return {};  // what OpenBLAS takes an unknown x86 processor for
  if (has.avx512) return "SKYLAKEX";
  return has.avx2 ? "HASWELL" : "";
}

std::string WithHugePages(std::string_view tunables) {
  constexpr absl::string_view kHugePages = "glibc.malloc.hugetlb";
  if (absl::StrContains(AbslView(tunables), kHugePages)) return "";
  return absl::StrCat(AbslView(tunables), tunables.empty() ? "" : ":", kHugePages, "=1");
}

void RestartWithTunedLibraries(char* const argv[]) {
  bool changed = false;
  if (getenv("GOMP_SPINCOUNT") == nullptr && getenv("OMP_WAIT_POLICY") == nullptr) {
    // Long enough for threads that finish almost together (some 50 us), short of a time slice.
    changed = setenv("GOMP_SPINCOUNT", "2000", 1) == 0;
  }
  const char* tunables = getenv("GLIBC_TUNABLES");
  const std::string tuned = WithHugePages(tunables == nullptr ? "" : tunables);
  if (!tuned.empty()) changed |= setenv("GLIBC_TUNABLES", tuned.c_str(), 1) == 0;
  const std::string kernels(BetterBlasKernels(ChosenBlasKernels(), UnitsOfThisProcessor()));
  if (!kernels.empty() && getenv("OPENBLAS_CORETYPE") == nullptr) {
    changed |= setenv("OPENBLAS_CORETYPE", kernels.c_str(), 1) == 0;
  }
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!changed || error) return;
  execv(program.c_str(), argv);  // returns only when it failed; then all is as it was
}

double MeasureGemmGflops() {
  constexpr int64_t kSize = 1024;
  const MatrixProduct product{kSize, kSize, kSize};
  return MeasureGemmGflops(std::span(&product, 1));
}

double MeasureGemmGflops(std::span<const MatrixProduct> products, int rounds) {
  const at::NoGradGuard no_grad;
  const double flops = FlopsOf(products);
  struct Operands {
    MatrixProduct of;
    at::Tensor a, b, c;
  };
  const auto stored = [](int64_t rows, int64_t columns, bool turned) {
    return turned ? at::ones({columns, rows}) : at::ones({rows, columns});
  };
  std::vector<Operands> all;
  for (const MatrixProduct& one : products) {
    all.push_back({one, stored(one.rows, one.inner, one.left_turned),
                   stored(one.inner, one.columns, one.right_turned),
                   at::empty({one.rows, one.columns})});
  }
  double best = 0;
  const auto measure = [&](const auto& multiply) {
    const auto start = std::chrono::steady_clock::now();
    for (Operands& one : all) multiply(one);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, flops * 1e-9 / took.count());
  };
  for (int i = 0; i < rounds; ++i) {
    measure([](Operands& one) {
      at::mm_out(one.c, one.of.left_turned ? one.a.t() : one.a,
                 one.of.right_turned ? one.b.t() : one.b);
    });
    measure([](Operands& one) {
      Gemm(one.of.rows, one.of.columns, one.of.inner,
           {one.a.data_ptr<float>(), one.a.size(1), one.of.left_turned},
           {one.b.data_ptr<float>(), one.b.size(1), one.of.right_turned}, {},
           one.c.data_ptr<float>(), one.of.columns);
    });
  }
  return best;
}

double MeasureStepGflops(const model::Blueprint& blueprint, int64_t tokens) {
  constexpr int kRounds = 3;
  return MeasureGemmGflops(SampleProducts(blueprint, tokens), kRounds);
}

}  // namespace floe::trainer
