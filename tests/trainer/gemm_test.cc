#include "trainer/internal/gemm.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "trainer/internal/torch_compat.h"
#include "trainer/rng.h"

namespace floe::trainer {
namespace {

std::vector<float> RandomNumbers(int64_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) number = static_cast<float>(rng.Normal());
  return numbers;
}

struct Case {
  int64_t m, n, k;
  bool a_transposed = false, b_transposed = false, biased = false, based = false;
};

// Operands lie in rows that are longer than they need to be; what is between them must not be read
// into a sum, and what is between the rows of C must stay.
class Product {
 public:
  explicit Product(const Case& of)
      : of_(of),
        a_stride_((of.a_transposed ? of.m : of.k) + 3),
        b_stride_((of.b_transposed ? of.k : of.n) + 5),
        c_stride_(of.n + 7),
        a_(RandomNumbers((of.a_transposed ? of.k : of.m) * a_stride_, 1)),
        b_(RandomNumbers((of.b_transposed ? of.n : of.k) * b_stride_, 2)),
        bias_(RandomNumbers(of.n, 3)),
        base_(RandomNumbers(of.m * c_stride_, 4)) {}

  std::vector<float> Run() const {
    std::vector<float> c(base_.size(), kUntouched);
    Gemm(of_.m, of_.n, of_.k, {a_.data(), a_stride_, of_.a_transposed},
         {b_.data(), b_stride_, of_.b_transposed},
         {of_.biased ? bias_.data() : nullptr, of_.based ? base_.data() : nullptr}, c.data(),
         c_stride_);
    return c;
  }

  // The largest difference from sums in 64 bits, in units of what rounding may do to such a sum.
  double Error(const std::vector<float>& c) const {
    double worst = 0;
    for (int64_t i = 0; i < of_.m; ++i) {
      for (int64_t j = 0; j < of_.n; ++j) {
        double sum = 0, size = 1;
        for (int64_t k = 0; k < of_.k; ++k) {
          const double a = a_[of_.a_transposed ? k * a_stride_ + i : i * a_stride_ + k];
          const double b = b_[of_.b_transposed ? j * b_stride_ + k : k * b_stride_ + j];
          sum += a * b;
          size += std::abs(a * b);
        }
        if (of_.biased) sum += bias_[j];
        if (of_.based) sum += base_[i * c_stride_ + j];
        worst = std::max(worst, std::abs(c[i * c_stride_ + j] - sum) / (size * 1e-6));
      }
    }
    return worst;
  }

  bool OnlyProductWritten(const std::vector<float>& c) const {
    for (int64_t i = 0; i < of_.m; ++i) {
      for (int64_t j = of_.n; j < c_stride_; ++j) {
        if (c[i * c_stride_ + j] != kUntouched) return false;
      }
    }
    return true;
  }

 private:
  static constexpr float kUntouched = 12345;

  const Case of_;
  const int64_t a_stride_, b_stride_, c_stride_;
  const std::vector<float> a_, b_, bias_, base_;
};

// Around the sizes of tiles (6 and 12 rows, 8 to 32 columns) and of blocks (256 or 384 steps, 192
// rows, 2048 columns).
// With each instruction set that this machine has.
TEST(Gemm, EqualsSumsInSixtyFourBitsAtEverySizeAndOrder) {
  const std::vector<std::array<int64_t, 3>> sizes = {
      {1, 1, 1},      {1, 17, 3},    {5, 16, 8},    {6, 15, 9},     {7, 33, 255},
      {12, 32, 256},  {13, 31, 257}, {191, 48, 64}, {193, 50, 300}, {49, 2049, 33},
      {97, 130, 513}, {200, 1, 70},  {25, 33, 384}, {14, 65, 385},  {36, 64, 769},
      {24, 96, 1160}, {20, 64, 70},  {8, 32, 39},   {16, 96, 40},   {10, 64, 41}};
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    for (const auto& [m, n, k] : sizes) {
      for (const int way : {0, 1, 2, 3, 4, 8, 13}) {
        const Case one{m, n, k, (way & 1) != 0, (way & 2) != 0, (way & 4) != 0, (way & 8) != 0};
        const Product product(one);
        const std::vector<float> c = product.Run();
        EXPECT_LT(product.Error(c), 1)
            << m << " x " << n << " x " << k << ", way " << way << ", " << hwy::TargetName(target);
        EXPECT_TRUE(product.OnlyProductWritten(c)) << m << " x " << n << ", way " << way;
      }
    }
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(Gemm, WithoutStepsGivesWhatItIsAddedTo) {
  for (const bool based : {false, true}) {
    const Product product({20, 30, 0, false, false, true, based});
    EXPECT_LT(product.Error(product.Run()), 1);
  }
}

TEST(Gemm, IsTheSameBitsOnAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const Case& one :
       {Case{205, 130, 300, true, false, true, true}, Case{100, 515, 700, false, true}}) {
    const Product product(one);
    at::set_num_threads(1);
    const std::vector<float> alone = product.Run();
    for (const int count : {2, 3, 5, 16}) {
      at::set_num_threads(count);
      EXPECT_EQ(product.Run(), alone) << count << " threads";
    }
  }
  at::set_num_threads(threads);
}

TEST(Gemm, AddsToTheResultItself) {
  const int64_t size = 40;
  const std::vector<float> a = RandomNumbers(size * size, 1), b = RandomNumbers(size * size, 2);
  std::vector<float> once(a.size()), twice(a.size());
  Gemm(size, size, size, {a.data(), size}, {b.data(), size}, {}, once.data(), size);
  Gemm(size, size, size, {a.data(), size}, {b.data(), size}, {}, twice.data(), size);
  Gemm(size, size, size, {a.data(), size}, {b.data(), size}, {.matrix = twice.data()}, twice.data(),
       size);
  for (size_t i = 0; i < once.size(); ++i) EXPECT_EQ(twice[i], 2 * once[i]) << i;
}

}  // namespace
}  // namespace floe::trainer
