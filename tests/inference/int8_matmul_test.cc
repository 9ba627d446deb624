#include "inference/engine/int8_matmul.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/aligned_buffer.h"
#include "model/half.h"
#include "model/quantization.h"

namespace floe::inference {
namespace {

constexpr int64_t kGroup = model::kQuantizationGroup;

struct Shape {
  int64_t out;
  int64_t in;
  StepsTogether together = StepsTogether::kTwo;
};

// What the groups of one row hold, whatever their form.
std::vector<int> Decoded(std::span<const uint8_t> groups, StepsTogether together) {
  std::vector<int> numbers;
  for (size_t group = 0; group < groups.size(); group += kRoundedGroupBytes) {
    for (size_t k = 0; k < kGroup; ++k) {
      int16_t wide;
      std::memcpy(&wide, &groups[group + (together == StepsTogether::kTwo ? 2 * k : 0)], 2);
      numbers.push_back(together == StepsTogether::kTwo ? wide
                                                        : static_cast<int8_t>(groups[group + k]));
    }
  }
  return numbers;
}

std::vector<StepsTogether> StepsOfThisMachine() {
  std::vector<StepsTogether> steps{StepsTogether::kTwo};
  if (FastestStepsTogether() != steps[0]) steps.push_back(FastestStepsTogether());
  return steps;
}

// Numbers over the whole range and scales over several powers of two, so that a sum in another
// order or precision would differ.
struct Sample {
  Sample(const Shape& shape, int64_t rows) : out(shape.out), in(shape.in), rows(rows) {
    std::mt19937 random(static_cast<uint32_t>(out * 1000 + in));
    std::normal_distribution<float> normal;
    weights.numbers.resize(static_cast<size_t>(out * in));
    for (int8_t& number : weights.numbers) {
      number = static_cast<int8_t>(static_cast<int>(random() % 255) - 127);
    }
    weights.scales.resize(static_cast<size_t>(out * groups()));
    for (uint16_t& scale : weights.scales) scale = model::FloatToHalf(std::exp(normal(random)));
    packed_from = {{weights.numbers.data(), out, false, model::DType::kI8, weights.scales.data()}};
    packed = PackedMatrix(out, in, shape.together);
    EXPECT_TRUE(packed.Pack(packed_from, 0, 0, packed.num_panels()));
    rounded.resize(static_cast<size_t>(rows * groups() * kRoundedGroupBytes));
    scales.resize(static_cast<size_t>(rows * groups()));
    std::vector<float> x(static_cast<size_t>(in));
    for (int64_t row = 0; row < rows; ++row) {
      for (float& value : x) value = normal(random);
      RoundRow(x.data(), in, shape.together, &rounded[row * groups() * kRoundedGroupBytes],
               &scales[row * groups()]);
    }
    numbers = Decoded(rounded, shape.together);
  }

  int64_t groups() const { return model::QuantizationGroups(in); }
  int64_t stride() const { return RoundUp16(out); }
  RoundedRows Rows(int64_t begin, int64_t count) const {
    return {&rounded[begin * groups() * kRoundedGroupBytes], &scales[begin * groups()], count,
            groups()};
  }
  // As the header says it.
  float Expected(int64_t row, int64_t column) const {
    float sum = 0;
    for (int64_t group = 0; group < groups(); ++group) {
      int32_t whole = 0;
      for (int64_t k = group * kGroup; k < std::min(in, (group + 1) * kGroup); ++k) {
        whole += numbers[row * groups() * kGroup + k] * weights.numbers[column * in + k];
      }
      const float scale = model::HalfToFloat(weights.scales[column * groups() + group]);
      sum = std::fma(static_cast<float>(whole), scale * scales[row * groups() + group], sum);
    }
    return sum;
  }

  int64_t out, in, rows;
  model::QuantizedMatrix weights;
  std::vector<PackedMatrix::Rows> packed_from;
  PackedMatrix packed;
  std::vector<uint8_t> rounded;
  std::vector<int> numbers;
  std::vector<float> scales;
};

class Int8MatMulTest : public testing::TestWithParam<Shape> {};

TEST_P(Int8MatMulTest, IsTheExactSumForEveryNumberOfRowsAndEveryPanelRange) {
  const Sample sample(GetParam(), 35);
  std::vector<float> expected(static_cast<size_t>(sample.rows * sample.stride()));
  for (int64_t row = 0; row < sample.rows; ++row) {
    for (int64_t c = 0; c < sample.out; ++c) {
      expected[row * sample.stride() + c] = sample.Expected(row, c);
    }
  }
  const int64_t panels = sample.packed.num_panels();
  for (int64_t together = 1; together <= sample.rows; ++together) {
    std::vector<float> y(expected.size());
    for (int64_t row = 0; row < sample.rows; row += together) {
      const Rows to{y.data() + row * sample.stride(), sample.stride()};
      const RoundedRows x = sample.Rows(row, std::min(together, sample.rows - row));
      MatMulInt8(sample.packed, x, {0, panels / 2}, {}, to);
      MatMulInt8(sample.packed, x, {panels / 2, panels}, {}, to);
    }
    ASSERT_EQ(y, expected) << together << " rows together";
  }
}

TEST_P(Int8MatMulTest, TheBiasIsAddedAndThenWhatWasThere) {
  const Sample sample(GetParam(), 3);
  std::vector<float> bias(static_cast<size_t>(sample.stride()), 0.5f);
  std::vector<float> y(static_cast<size_t>(3 * sample.stride()), 3.0f);
  MatMulInt8(sample.packed, sample.Rows(0, 3), {0, sample.packed.num_panels()}, {bias.data(), true},
             {y.data(), sample.stride()});
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t c = 0; c < sample.out; ++c) {
      ASSERT_EQ(y[row * sample.stride() + c], sample.Expected(row, c) + 0.5f + 3.0f);
    }
  }
}

TEST_P(Int8MatMulTest, ARowOfWeightsIsWhatItsNumbersSay) {
  const Sample sample(GetParam(), 1);
  std::vector<float> row(static_cast<size_t>(sample.in));
  for (int64_t c = 0; c < sample.out; ++c) {
    sample.packed.CopyRow(c, row.data());
    for (int64_t k = 0; k < sample.in; ++k) {
      const uint16_t scale = sample.weights.scales[c * sample.groups() + k / kGroup];
      ASSERT_EQ(row[k], sample.weights.numbers[c * sample.in + k] * model::HalfToFloat(scale));
    }
  }
}

std::vector<Shape> ShapesOfThisMachine() {
  std::vector<Shape> shapes;
  for (const StepsTogether together : StepsOfThisMachine()) {
    for (const auto& [out, in] : {std::pair{16, 32}, {100, 75}, {7, 5}, {160, 288}, {1, 1}}) {
      shapes.push_back({out, in, together});
    }
  }
  return shapes;
}

INSTANTIATE_TEST_SUITE_P(Shapes, Int8MatMulTest, testing::ValuesIn(ShapesOfThisMachine()),
                         [](const auto& info) {
                           return absl::StrCat(info.param.out, "x", info.param.in, "by",
                                               static_cast<int>(info.param.together));
                         });

struct Rounded {
  Rounded(const std::vector<float>& x, StepsTogether together)
      : scales(model::QuantizationGroups(static_cast<int64_t>(x.size())), 99) {
    std::vector<uint8_t> groups(scales.size() * kRoundedGroupBytes, 99);
    RoundRow(x.data(), static_cast<int64_t>(x.size()), together, groups.data(), scales.data());
    numbers = Decoded(groups, together);
  }

  std::vector<int> numbers;
  std::vector<float> scales;
};

class RoundRowTest : public testing::TestWithParam<StepsTogether> {};

INSTANTIATE_TEST_SUITE_P(Steps, RoundRowTest, testing::ValuesIn(StepsOfThisMachine()),
                         [](const auto& info) {
                           return absl::StrCat(static_cast<int>(info.param));
                         });

TEST_P(RoundRowTest, EachNumberIsTheNearestAndTheLargestIs127) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(5 * kGroup + 11);
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = normal(random) * std::pow(10.0f, static_cast<float>(i / kGroup * 6) - 12);
  }
  const Rounded rounded(x, GetParam());
  for (size_t group = 0; group < rounded.scales.size(); ++group) {
    int largest = 0;
    for (size_t k = group * kGroup; k < (group + 1) * kGroup; ++k) {
      if (k >= x.size()) {
        ASSERT_EQ(rounded.numbers[k], 0) << "what fills the last group";
        continue;
      }
      const double exact = static_cast<double>(x[k]) / rounded.scales[group];
      ASSERT_NEAR(rounded.numbers[k], exact, 0.5001) << k;
      largest = std::max(largest, std::abs(rounded.numbers[k]));
    }
    EXPECT_EQ(largest, 127) << group;
  }
}

TEST_P(RoundRowTest, GroupsThatHaveNoScaleAreZero) {
  std::vector<float> x(2 * kGroup);
  x[40] = 1e-39f;
  const Rounded rounded(x, GetParam());
  EXPECT_THAT(rounded.numbers, testing::Each(0));
  EXPECT_THAT(rounded.scales, testing::Each(0));
}

TEST_P(RoundRowTest, WhatIsNotFiniteStaysSo) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    for (size_t at = 0; at < kGroup; ++at) {
      std::vector<float> x(2 * kGroup, 1.0f);
      x[at] = bad;
      const Rounded rounded(x, GetParam());
      EXPECT_FALSE(std::isfinite(rounded.scales[0])) << at;
      EXPECT_FLOAT_EQ(rounded.scales[1], 1.0f / 127);
    }
  }
}

}  // namespace
}  // namespace floe::inference
