#include "inference/engine/kernels.h"

#include <atomic>
#include <cmath>
#include <numeric>
#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/attention.h"
#include "inference/engine/matmul.h"
#include "inference/engine/worker_pool.h"

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
  PackedMatrix packed(sources, in);
  EXPECT_TRUE(packed.Pack(sources, 0, packed.num_panels()));
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

class AttendTest : public testing::TestWithParam<int64_t> {};

TEST_P(AttendTest, AgreesWithDoublesForEveryLength) {
  const int64_t head_dim = GetParam();
  const int64_t padded = RoundUp16(head_dim);
  const int64_t block_stride = 16 * (head_dim + padded);
  const int64_t num_blocks = 7;
  const std::vector<float> query = RandomFloats(head_dim, 9);
  AlignedFloats pool(num_blocks * block_stride);
  const std::vector<float> noise = RandomFloats(pool.size(), 10);
  std::copy(noise.begin(), noise.end(), pool.data());
  const std::vector<int32_t> blocks = {4, 0, 6, 1, 5, 2, 3};
  const KvHeadView kv{pool.data(), blocks.data(), block_stride, 0, 16 * head_dim};
  AlignedFloats scores(num_blocks * 16);
  for (int64_t positions = 1; positions <= num_blocks * 16; ++positions) {
    std::vector<float> out(static_cast<size_t>(head_dim));
    const AttentionQuery asked{query.data(), out.data(), positions};
    Attend({&asked, 1}, kv, {head_dim, 0.25f, scores.size()}, scores.data());
    std::vector<double> p;
    for (int64_t t = 0; t < positions; ++t) {
      const float* keys = pool.data() + blocks[t / 16] * block_stride + t % 16;
      double dot = 0;
      for (int64_t i = 0; i < head_dim; ++i) dot += static_cast<double>(query[i]) * keys[i * 16];
      p.push_back(dot * 0.25);
    }
    const double max = *std::max_element(p.begin(), p.end());
    for (double& value : p) value = std::exp(value - max);
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (int64_t i = 0; i < head_dim; ++i) {
      double expected = 0;
      for (int64_t t = 0; t < positions; ++t) {
        const float* values =
            pool.data() + blocks[t / 16] * block_stride + 16 * head_dim + (t % 16) * padded;
        expected += p[t] / sum * values[i];
      }
      ASSERT_NEAR(out[i], expected, 2e-5) << positions << " positions, " << i;
    }
  }
}

TEST_P(AttendTest, AQueryDoesNotDependOnItsCompanyNorOnWhatLiesBeyondItsPositions) {
  const int64_t head_dim = GetParam();
  const int64_t padded = RoundUp16(head_dim);
  const int64_t block_stride = 16 * (head_dim + padded);
  const std::vector<float> query = RandomFloats(kMaxAttentionQueries * head_dim, 12);
  AlignedFloats pool(4 * block_stride);
  const std::vector<float> noise = RandomFloats(pool.size(), 13);
  std::copy(noise.begin(), noise.end(), pool.data());
  const std::vector<int32_t> blocks = {2, 0, 3, 1};
  const KvHeadView kv{pool.data(), blocks.data(), block_stride, 0, 16 * head_dim};
  const AttentionShape shape{head_dim, 0.25f, 64};
  AlignedFloats scores(kMaxAttentionQueries * 64);
  for (int count = 1; count <= kMaxAttentionQueries; ++count) {
    std::vector<float> alone(static_cast<size_t>(count * head_dim)), together(alone.size());
    std::vector<AttentionQuery> queries;
    for (int n = 0; n < count; ++n) {
      const int64_t positions = 29 + (n * 5) % 11;
      queries.push_back({query.data() + n * head_dim, alone.data() + n * head_dim, positions});
      Attend({&queries.back(), 1}, kv, shape, scores.data());
      queries.back().out = together.data() + n * head_dim;
    }
    // Position 40 is beyond what any of them sees.
    for (int64_t i = 0; i < padded; ++i) {
      pool.data()[3 * block_stride + 16 * head_dim + 8 * padded + i] = NAN;
    }
    Attend(queries, kv, shape, scores.data());
    EXPECT_EQ(together, alone) << count << " queries";
  }
}

INSTANTIATE_TEST_SUITE_P(HeadDims, AttendTest, testing::Values(8, 9, 16, 24, 64, 96, 128));

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
