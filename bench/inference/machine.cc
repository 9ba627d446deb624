#include "bench/inference/machine.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "inference/engine/aligned_buffer.h"

namespace floe::bench {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Many independent sums, so that the loop waits for memory and for nothing else.
uint64_t SumOf(const inference::AlignedBuffer<uint64_t>& data) {
  constexpr int64_t kChains = 32;
  uint64_t sums[kChains] = {};
  for (int64_t i = 0; i + kChains <= data.size(); i += kChains) {
    for (int64_t j = 0; j < kChains; ++j) sums[j] += data.data()[i + j];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace

double MemoryBandwidth(int threads) {
  constexpr size_t kBytes = size_t{192} << 20;  // a thread
  constexpr int kRounds = 8;
  // In the large pages that weights lie in.
  std::vector<inference::AlignedBuffer<uint64_t>> data(static_cast<size_t>(threads));
  for (auto& mine : data) {
    mine = inference::AlignedBuffer<uint64_t>(kBytes / sizeof(uint64_t));
    std::fill_n(mine.data(), mine.size(), 1);
  }
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<uint64_t> sums(data.size());
    const double start = Now();
    std::vector<std::thread> readers;
    for (size_t i = 0; i < data.size(); ++i) {
      readers.emplace_back([&, i] { sums[i] = SumOf(data[i]); });
    }
    for (std::thread& reader : readers) reader.join();
    const double seconds = Now() - start;
    uint64_t read = 0;  // each sum is a count of words, which keeps the reads from being left out
    for (const uint64_t sum : sums) read += sum * sizeof(uint64_t);
    best = std::max(best, static_cast<double>(read) / seconds);
  }
  return best;
}

std::optional<double> GemmPeak(int threads) {
  using Sgemm =
      void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
               const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
  using SetThreads = void (*)(int);
  void* library = ::dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  const auto sgemm = reinterpret_cast<Sgemm>(::dlsym(library, "cblas_sgemm"));
  const auto set_threads =
      reinterpret_cast<SetThreads>(::dlsym(library, "openblas_set_num_threads"));
  if (sgemm == nullptr || set_threads == nullptr) return std::nullopt;
  set_threads(threads);
  constexpr int kSize = 1536;
  constexpr int kRowMajor = 101, kNoTranspose = 111;
  std::vector<float> a(kSize * kSize, 0.5f), b(kSize * kSize, 0.25f), c(kSize * kSize);
  double best = 0;
  for (int round = 0; round < 6; ++round) {
    const double start = Now();
    sgemm(kRowMajor, kNoTranspose, kNoTranspose, kSize, kSize, kSize, 1, a.data(), kSize, b.data(),
          kSize, 0, c.data(), kSize);
    best = std::max(best, 2.0 * kSize * kSize * kSize / (Now() - start));
  }
  return best;
}

}  // namespace floe::bench
