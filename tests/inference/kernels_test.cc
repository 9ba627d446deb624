#include "inference/engine/kernels.h"

#include <atomic>
#include <cmath>
#include <numeric>
#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/aligned_buffer.h"
#include "inference/engine/attention.h"
#include "inference/engine/matmul.h"
#include "inference/engine/worker_pool.h"
#include "model/half.h"

namespace floe::inference {
namespace {

std::vector<float> RandomFloats(int64_t n, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) value = normal(engine);
  return values;
}

PackedMatrix Packed(const std::vector<PackedMatrix::Rows>& sources, int64_t in) {
  int64_t out = 0;
  for (const PackedMatrix::Rows& rows : sources) out += rows.count;
  PackedMatrix packed(out, in);
  EXPECT_TRUE(packed.Pack(sources, 0, 0, packed.num_panels()));
  return packed;
}

struct Shape {
  int64_t out;
  int64_t in;
};

void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.out << "x" << shape.in; }

class MatMulTest : public testing::TestWithParam<Shape> {};

TEST_P(MatMulTest, AgreesWithDoublesForEveryNumberOfRows) {
  const auto [out, in] = GetParam();
  const std::vector<float> w = RandomFloats(out * in, 1);
  const PackedMatrix packed = Packed({{w.data(), out}}, in);
  for (int64_t rows = 1; rows <= 20; ++rows) {
    const std::vector<float> x = RandomFloats(rows * in, 2);
    std::vector<float> y(static_cast<size_t>(rows * RoundUp16(out)));
    MatMul(packed, {x.data(), rows, in}, {0, packed.num_panels()}, {}, {y.data(), RoundUp16(out)});
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < out; ++c) {
        double sum = 0;
        double magnitude = 0;
        for (int64_t k = 0; k < in; ++k) {
          const double term = static_cast<double>(x[r * in + k]) * w[c * in + k];
          sum += term;
          magnitude += std::abs(term);
        }
        ASSERT_NEAR(y[r * RoundUp16(out) + c], sum, 1e-6 * magnitude + 1e-6)
            << "rows " << rows << " at " << r << ", " << c;
      }
    }
  }
}

TEST_P(MatMulTest, ARowDoesNotDependOnItsCompanyOrThePanelRange) {
  const auto [out, in] = GetParam();
  const std::vector<float> w = RandomFloats(out * in, 3);
  const PackedMatrix packed = Packed({{w.data(), out}}, in);
  const int64_t rows = 17;
  const std::vector<float> x = RandomFloats(rows * in, 4);
  const int64_t stride = RoundUp16(out);
  std::vector<float> alone(static_cast<size_t>(rows * stride));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t p = 0; p < packed.num_panels(); ++p) {
      MatMul(packed, {x.data() + r * in, 1, in}, {p, p + 1}, {},
             {alone.data() + r * stride, stride});
    }
  }
  for (int64_t together = 1; together <= rows; ++together) {
    std::vector<float> y(static_cast<size_t>(rows * stride));
    for (int64_t r = 0; r < rows; r += together) {
      MatMul(packed, {x.data() + r * in, std::min(together, rows - r), in},
             {0, packed.num_panels()}, {}, {y.data() + r * stride, stride});
    }
    ASSERT_EQ(y, alone) << together << " rows together";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MatMulTest,
                         testing::Values(Shape{16, 16}, Shape{100, 33}, Shape{7, 5},
                                         Shape{160, 128}, Shape{1, 1}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.out, "x", info.param.in);
                         });

TEST(MatMul, AddsTheBiasAndThenWhatWasThere) {
  const std::vector<float> w = {1, 2, 3, 4, 5, 6};  // [3, 2]
  const PackedMatrix packed = Packed({{w.data(), 1}, {w.data() + 2, 2}}, 2);
  const std::vector<float> x = {10, 100};
  std::vector<float> bias(16);
  bias[0] = 0.5f;
  std::vector<float> y(16, 1.0f);
  MatMul(packed, {x.data(), 1, 2}, {0, 1}, {bias.data(), true}, {y.data(), 16});
  EXPECT_THAT(std::vector<float>(y.begin(), y.begin() + 3),
              testing::ElementsAre(211.5f, 431.0f, 651.0f));
}

TEST(PackedMatrix, GivesBackItsRows) {
  const std::vector<float> w = RandomFloats(37 * 9, 5);
  const PackedMatrix packed = Packed({{w.data(), 37}}, 9);
  std::vector<float> row(9);
  for (int64_t r = 0; r < 37; ++r) {
    packed.CopyRow(r, row.data());
    EXPECT_EQ(row, std::vector<float>(w.begin() + r * 9, w.begin() + (r + 1) * 9));
  }
}

TEST(PackedMatrix, TurnsWhatIsStoredTransposed) {
  const std::vector<float> w = RandomFloats(37 * 9, 11);  // [37, 9]
  std::vector<float> turned(w.size());                    // [9, 37]
  for (int64_t r = 0; r < 37; ++r) {
    for (int64_t k = 0; k < 9; ++k) turned[k * 37 + r] = w[r * 9 + k];
  }
  const PackedMatrix packed = Packed({{turned.data(), 37, true}, {w.data(), 37}}, 9);
  std::vector<float> first(9), second(9);
  for (int64_t r = 0; r < 37; ++r) {
    packed.CopyRow(r, first.data());
    packed.CopyRow(37 + r, second.data());
    EXPECT_EQ(first, second) << r;
  }
}

TEST(RmsNorm, AgreesWithDoubles) {
  for (const int64_t width : {8, 16, 40, 256}) {
    const std::vector<float> x = RandomFloats(width, 6);
    const std::vector<float> gain = RandomFloats(width, 7);
    std::vector<float> y(static_cast<size_t>(width));
    RmsNorm(x.data(), gain.data(), 1e-6f, width, y.data());
    double squares = 0;
    for (const float value : x) squares += static_cast<double>(value) * value;
    const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-6);
    for (int64_t i = 0; i < width; ++i) EXPECT_NEAR(y[i], x[i] * scale * gain[i], 1e-5);
  }
}

TEST(LayerNorm, AgreesWithDoublesAlsoFarFromZero) {
  for (const int64_t width : {8, 16, 40, 72, 256}) {
    std::vector<float> x = RandomFloats(width, 12);
    for (float& value : x) value += 30;
    const std::vector<float> gain = RandomFloats(width, 13);
    const std::vector<float> shift = RandomFloats(width, 14);
    std::vector<float> y = x;
    LayerNorm(y.data(), {gain.data(), shift.data(), 1e-5f}, width, y.data());
    const double mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(width);
    double squares = 0;
    for (const float value : x) squares += (value - mean) * (value - mean);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
    for (int64_t i = 0; i < width; ++i) {
      EXPECT_NEAR(y[i], (x[i] - mean) * scale * gain[i] + shift[i], 2e-5) << width << " at " << i;
    }
  }
}

TEST(GeluTanh, AgreesWithDoublesAlsoFarFromZero) {
  const std::vector<float> x = {-1e20f, -200, -20, -5, -3, -1, -0.1f,  0,
                                1e-6f,  0.1f, 1,   3,  5,  20, 200.0f, 1e20f};
  std::vector<float> y = x;
  GeluTanh(y.data(), 16, y.data());
  for (int i = 0; i < 16; ++i) {
    const double v = x[i];
    const double z = std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v);
    const double expected = 0.5 * v * (1 + std::tanh(z));
    EXPECT_NEAR(y[i], expected, 1e-6 * std::abs(expected) + 1e-6) << v;
  }
}

TEST(SwiGlu, AgreesWithDoublesAlsoFarFromZero) {
  std::vector<float> gate = {-200, -90, -20, -1, -0.1f, 0, 0.1f, 1, 20, 90, 200, 3, 4, 5, 6, 7};
  const std::vector<float> up = RandomFloats(16, 8);
  std::vector<float> y(16);
  SwiGlu(gate.data(), up.data(), 16, y.data());
  for (int i = 0; i < 16; ++i) {
    const double expected = gate[i] / (1 + std::exp(-static_cast<double>(gate[i]))) * up[i];
    EXPECT_NEAR(y[i], expected, 1e-6 * std::abs(expected) + 1e-7) << gate[i];
  }
}

struct KvShape {
  int64_t head_dim;
  KvType type;
};

// A pool of random keys and values.
class RandomKv {
 public:
  RandomKv(const KvShape& shape, std::vector<int32_t> blocks, unsigned seed)
      : shape_(shape),
        blocks_(std::move(blocks)),
        stride_(16 * (shape.head_dim + RoundUp16(shape.head_dim))),
        bytes_(static_cast<int64_t>(blocks_.size()) * stride_ * KvNumberBytes(shape.type)) {
    const std::vector<float> noise =
        RandomFloats(static_cast<int64_t>(blocks_.size()) * stride_, seed);
    for (size_t i = 0; i < noise.size(); ++i) Set(static_cast<int64_t>(i), noise[i]);
  }

  KvHeadView view() {
    return {shape_.type, bytes_.data(), blocks_.data(), stride_, 0, 16 * shape_.head_dim};
  }
  int64_t bytes() const { return bytes_.size(); }
  const uint8_t* data() const { return bytes_.data(); }
  float Key(int64_t t, int64_t i) const { return Get(blocks_[t / 16] * stride_ + i * 16 + t % 16); }
  int64_t ValueAt(int64_t t, int64_t i) const {
    return blocks_[t / 16] * stride_ + 16 * shape_.head_dim + t % 16 * RoundUp16(shape_.head_dim) +
           i;
  }
  float Value(int64_t t, int64_t i) const { return Get(ValueAt(t, i)); }
  void Set(int64_t at, float value) {
    if (shape_.type == KvType::kF32) {
      reinterpret_cast<float*>(bytes_.data())[at] = value;
    } else {
      reinterpret_cast<uint16_t*>(bytes_.data())[at] = model::FloatToHalf(value);
    }
  }

 private:
  float Get(int64_t at) const {
    return shape_.type == KvType::kF32
               ? reinterpret_cast<const float*>(bytes_.data())[at]
               : model::HalfToFloat(reinterpret_cast<const uint16_t*>(bytes_.data())[at]);
  }

  const KvShape shape_;
  const std::vector<int32_t> blocks_;
  const int64_t stride_;
  AlignedBuffer<uint8_t> bytes_;
};

class AttendTest : public testing::TestWithParam<KvShape> {};

TEST_P(AttendTest, AgreesWithDoublesForEveryLength) {
  const int64_t head_dim = GetParam().head_dim;
  const std::vector<float> query = RandomFloats(head_dim, 9);
  RandomKv kv(GetParam(), {4, 0, 6, 1, 5, 2, 3}, 10);
  AlignedFloats scores(7 * 16);
  for (int64_t positions = 1; positions <= scores.size(); ++positions) {
    std::vector<float> out(static_cast<size_t>(head_dim));
    const AttentionQuery asked{query.data(), out.data(), positions};
    Attend({&asked, 1}, kv.view(), {head_dim, 0.25f, scores.size()}, scores.data());
    std::vector<double> p;
    for (int64_t t = 0; t < positions; ++t) {
      double dot = 0;
      for (int64_t i = 0; i < head_dim; ++i) dot += static_cast<double>(query[i]) * kv.Key(t, i);
      p.push_back(dot * 0.25);
    }
    const double max = *std::max_element(p.begin(), p.end());
    for (double& value : p) value = std::exp(value - max);
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (int64_t i = 0; i < head_dim; ++i) {
      double expected = 0;
      for (int64_t t = 0; t < positions; ++t) expected += p[t] / sum * kv.Value(t, i);
      ASSERT_NEAR(out[i], expected, 2e-5) << positions << " positions, " << i;
    }
  }
}

TEST_P(AttendTest, AQueryDoesNotDependOnItsCompanyNorOnWhatLiesBeyondItsPositions) {
  const int64_t head_dim = GetParam().head_dim;
  const std::vector<float> query = RandomFloats(kMaxAttentionQueries * head_dim, 12);
  RandomKv kv(GetParam(), {2, 0, 3, 1}, 13);
  const AttentionShape shape{head_dim, 0.25f, 64};
  AlignedFloats scores(kMaxAttentionQueries * 64);
  for (int count = 1; count <= kMaxAttentionQueries; ++count) {
    std::vector<float> alone(static_cast<size_t>(count * head_dim)), together(alone.size());
    std::vector<AttentionQuery> queries;
    for (int n = 0; n < count; ++n) {
      const int64_t positions = 29 + (n * 5) % 11;
      queries.push_back({query.data() + n * head_dim, alone.data() + n * head_dim, positions});
      Attend({&queries.back(), 1}, kv.view(), shape, scores.data());
      queries.back().out = together.data() + n * head_dim;
    }
    // Position 40 is beyond what any of them sees.
    for (int64_t i = 0; i < RoundUp16(head_dim); ++i) kv.Set(kv.ValueAt(40, i), NAN);
    Attend(queries, kv.view(), shape, scores.data());
    EXPECT_EQ(together, alone) << count << " queries";
  }
}

TEST_P(AttendTest, WhatIsStoredIsTheNearestNumberAndNothingElseChanges) {
  const int64_t head_dim = GetParam().head_dim;
  std::vector<float> key = RandomFloats(head_dim, 14);
  std::vector<float> value = RandomFloats(head_dim, 15);
  key[0] = 1 + 0x1p-11f;  // half way between two numbers of F16: to the even one
  key[head_dim - 1] = 1e6f;
  value[head_dim - 1] = NAN;
  RandomKv kv(GetParam(), {1, 2, 0}, 16);
  const RandomKv before(GetParam(), {1, 2, 0}, 16);
  StoreKeyValue(kv.view(), head_dim, 21, key.data(), value.data());
  const bool narrow = GetParam().type == KvType::kF16;
  const auto kept = [&](float x) { return narrow ? model::HalfToFloat(model::FloatToHalf(x)) : x; };
  for (int64_t i = 0; i < head_dim; ++i) {
    EXPECT_EQ(kv.Key(21, i), kept(key[i])) << i;
  }
  for (int64_t i = 0; i < head_dim - 1; ++i) EXPECT_EQ(kv.Value(21, i), kept(value[i])) << i;
  EXPECT_EQ(std::isinf(kv.Key(21, head_dim - 1)), narrow);
  EXPECT_TRUE(std::isnan(kv.Value(21, head_dim - 1))) << "it must be seen, not become a number";
  int64_t changed = 0;
  for (int64_t i = 0; i < kv.bytes(); ++i) changed += kv.data()[i] != before.data()[i] ? 1 : 0;
  EXPECT_LE(changed, 2 * head_dim * KvNumberBytes(GetParam().type));
}

std::vector<KvShape> KvShapes() {
  std::vector<KvShape> shapes;
  for (const int64_t head_dim : {8, 9, 16, 24, 64, 96, 128}) {
    for (const KvType type : {KvType::kF32, KvType::kF16}) shapes.push_back({head_dim, type});
  }
  return shapes;
}

INSTANTIATE_TEST_SUITE_P(HeadDims, AttendTest, testing::ValuesIn(KvShapes()), [](const auto& info) {
  return absl::StrCat(info.param.head_dim, info.param.type == KvType::kF16 ? "F16" : "F32");
});

TEST(WorkerPool, RunsEveryPieceOnceInManyLoops) {
  for (const int threads : {1, 2, 5}) {
    WorkerPool pool(threads);
    for (int64_t pieces : {0, 1, 2, 3, 17, 100}) {
      for (int round = 0; round < 200; ++round) {
        std::vector<std::atomic<int>> runs(static_cast<size_t>(pieces));
        pool.Run(pieces, [&](int64_t piece, int thread) {
          EXPECT_LT(thread, threads);
          ++runs[piece];
        });
        for (const auto& count : runs) ASSERT_EQ(count, 1);
      }
    }
  }
}

}  // namespace
}  // namespace floe::inference
