// The HNSW index beside what looks at every vector.
#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retrieval/hnsw/hnsw_index.h"

namespace floe::retrieval {
namespace {

using testing::IsEmpty;
using Vector = std::vector<float>;

Vector RandomVector(std::mt19937& random, size_t dimensions) {
  std::normal_distribution<float> normal;
  Vector vector(dimensions);
  double squares = 0;
  for (float& value : vector) {
    value = normal(random);
    squares += value * value;
  }
  for (float& value : vector) value = static_cast<float>(value / std::sqrt(squares));
  return vector;
}

float Dot(const Vector& a, const Vector& b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

std::vector<int64_t> BruteForce(const std::vector<Vector>& vectors, const std::set<int64_t>& gone,
                                const Vector& query, size_t count) {
  std::vector<std::pair<float, int64_t>> all;
  for (size_t i = 0; i < vectors.size(); ++i) {
    if (!gone.contains(static_cast<int64_t>(i))) all.emplace_back(-Dot(vectors[i], query), i);
  }
  std::sort(all.begin(), all.end());
  std::vector<int64_t> ids;
  for (size_t i = 0; i < std::min(count, all.size()); ++i) ids.push_back(all[i].second);
  return ids;
}

class HnswTest : public testing::Test {
 protected:
  static constexpr size_t kDimensions = 64;
  static constexpr int kCount = 10;

  void Fill(size_t vectors) {
    for (size_t i = 0; i < vectors; ++i) {
      vectors_.push_back(RandomVector(random_, kDimensions));
      ASSERT_TRUE(index_->Add(static_cast<int64_t>(i), vectors_.back()).ok());
    }
  }
  // The part of the true nearest that the index finds.
  double Recall(int queries) {
    double found = 0;
    for (int q = 0; q < queries; ++q) {
      const Vector query = RandomVector(random_, kDimensions);
      const auto expected = BruteForce(vectors_, gone_, query, kCount);
      const std::set<int64_t> wanted(expected.begin(), expected.end());
      const auto nearest = index_->Nearest(query, kCount);
      EXPECT_EQ(nearest.size(), expected.size());
      for (size_t i = 0; i < nearest.size(); ++i) {
        EXPECT_FALSE(gone_.contains(nearest[i].id)) << "a removed vector came back";
        EXPECT_NEAR(nearest[i].cosine, Dot(vectors_[nearest[i].id], query), 1e-5);
        if (i > 0) {
          EXPECT_LE(nearest[i].cosine, nearest[i - 1].cosine);
        }
        found += wanted.contains(nearest[i].id);
      }
    }
    return found / queries / kCount;
  }

  std::mt19937 random_{42};
  std::unique_ptr<VectorIndex> index_ = MakeHnswIndex(kDimensions);
  std::vector<Vector> vectors_;
  std::set<int64_t> gone_;
};

// Random directions in 64 dimensions are the hard case: no neighbour is much nearer than others.
TEST_F(HnswTest, RecallAgainstBruteForce) {
  Fill(4000);
  EXPECT_GE(Recall(100), 0.95);
}

TEST_F(HnswTest, RemovedVectorsNeverComeBack) {
  Fill(1500);
  for (int64_t id = 0; id < 1500; id += 2) {
    index_->Remove(id);
    gone_.insert(id);
  }
  EXPECT_GE(Recall(50), 0.95);
  for (int64_t id = 1; id < 1500; id += 2) {
    index_->Remove(id);
    gone_.insert(id);
  }
  EXPECT_THAT(index_->Nearest(vectors_[0], 5), IsEmpty());
}

TEST_F(HnswTest, FewVectorsAreFoundAll) {
  EXPECT_THAT(index_->Nearest(RandomVector(random_, kDimensions), 5), IsEmpty());
  Fill(3);
  EXPECT_EQ(index_->Nearest(vectors_[1], 5).size(), 3u);
  EXPECT_EQ(index_->Nearest(vectors_[1], 5)[0].id, 1);
  EXPECT_THAT(index_->Nearest(vectors_[1], 0), IsEmpty());
}

TEST_F(HnswTest, AVectorOfAnotherLengthIsRefused) {
  Fill(1);
  EXPECT_EQ(index_->Add(9, Vector(3, 0.5f)).code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(index_->Nearest(Vector(3, 0.5f), 5), IsEmpty());
}

TEST_F(HnswTest, TheSameVectorsGiveTheSameAnswers) {
  Fill(800);
  const auto again = MakeHnswIndex(kDimensions);
  for (size_t i = 0; i < vectors_.size(); ++i) {
    ASSERT_TRUE(again->Add(static_cast<int64_t>(i), vectors_[i]).ok());
  }
  for (int q = 0; q < 20; ++q) {
    const Vector query = RandomVector(random_, kDimensions);
    const auto a = index_->Nearest(query, kCount), b = again->Nearest(query, kCount);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].id, b[i].id);
  }
}

TEST_F(HnswTest, SearchesBesideChanges) {
  Fill(200);
  const Vector query = vectors_[7];
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) EXPECT_EQ(index_->Nearest(query, 1)[0].id, 7);
    });
  }
  std::mt19937 random(1);
  for (int64_t id = 200; id < 500; ++id) {
    EXPECT_TRUE(index_->Add(id, RandomVector(random, kDimensions)).ok());
    if (id % 3 == 0) index_->Remove(id);
  }
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace floe::retrieval
