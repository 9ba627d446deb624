#include "trainer/alignment/reference_file.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"
#include "tests/support/temp_dir.h"
#include "trainer/alignment/example_order.h"

namespace floe::trainer {
namespace {

TEST(ReferenceFileTest, ComesBackBitForBit) {
  const test::TempDir folder;
  const ReferenceLogProbabilities values{{-1.0 / 3, -12.345678901234567, -1e-17}, {-2, -3, -4}};
  ASSERT_TRUE(WriteReference(folder / "r.json", "key", values).ok());
  const auto read = ReadReference(folder / "r.json", "key", 3);
  ASSERT_TRUE(read.ok() && read->has_value()) << read.status();
  EXPECT_EQ(**read, values);
}

TEST(ReferenceFileTest, WhatDoesNotFitIsComputedAgain) {
  const test::TempDir folder;
  const auto path = folder / "r.json";
  const auto is_there = [&](const std::string& key, size_t pairs) {
    const auto read = ReadReference(path, key, pairs);
    EXPECT_TRUE(read.ok()) << read.status();
    return read.ok() && read->has_value();
  };
  EXPECT_FALSE(is_there("key", 1));
  ASSERT_TRUE(WriteReference(path, "key", {{-1}, {-2}}).ok());
  EXPECT_TRUE(is_there("key", 1));
  EXPECT_FALSE(is_there("another", 1));
  EXPECT_FALSE(is_there("key", 2));
  const std::string whole = ReadFile(path).value();
  folder.Write("r.json", whole.substr(0, whole.size() / 2));
  EXPECT_FALSE(is_there("key", 1));
  folder.Write("r.json", R"({"key": "key", "chosen": [null], "rejected": [-2]})");
  EXPECT_FALSE(is_there("key", 1));
}

TEST(ExampleOrderTest, VisitsEachOnceAnEpochAndGoesOnFromAnyPoint) {
  ExampleOrder order(5, 7);
  std::vector<size_t> all;
  std::vector<DataCursor> cursors;
  for (int i = 0; i < 12; ++i) {
    cursors.push_back(order.cursor());
    all.push_back(order.Next());
  }
  std::vector<size_t> first(all.begin(), all.begin() + 5);
  std::sort(first.begin(), first.end());
  EXPECT_EQ(first, (std::vector<size_t>{0, 1, 2, 3, 4}));
  for (size_t from = 0; from < cursors.size(); ++from) {
    ExampleOrder resumed(5, 7);
    ASSERT_TRUE(resumed.Seek(cursors[from]).ok());
    for (size_t i = from; i < all.size(); ++i) EXPECT_EQ(resumed.Next(), all[i]) << from;
  }
  DataCursor outside = cursors[0];
  outside.position = 6;
  EXPECT_EQ(ExampleOrder(5, 7).Seek(outside).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace floe::trainer
