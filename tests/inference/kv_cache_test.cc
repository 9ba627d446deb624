// What the KV cache shares, with whom, and in what order it forgets.
#include "inference/engine/kv_cache.h"

#include <numeric>

#include "gtest/gtest.h"

#include "inference/engine/prefix_index.h"
#include "tests/inference/tiny_checkpoint.h"

namespace floe::inference {
namespace {

using Tokens = std::vector<int32_t>;

Tokens Counting(int32_t first, size_t n) {
  Tokens tokens(n);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

Tokens Joined(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class KvCacheTest : public testing::Test {
 protected:
  void SetUp() override { Make(8); }
  void Make(int64_t blocks) {
    cache_ =
        std::make_unique<KvCache>(*KvCache::Create(TinyBlueprint(model::Family::kQwen3), blocks));
  }
  // A sequence that has computed `tokens` and shares them.
  SequenceId Computed(std::string_view salt, const Tokens& tokens) {
    const SequenceId id = cache_->Open(salt);
    const int64_t left = static_cast<int64_t>(tokens.size()) - cache_->Adopt(id, tokens);
    EXPECT_TRUE(cache_->Reserve(id, left).ok());
    cache_->Advance(id, left);
    cache_->Share(id, tokens);
    return id;
  }
  // How many of `tokens` a new sequence would begin with.
  int64_t Cached(std::string_view salt, const Tokens& tokens) {
    const SequenceId id = cache_->Open(salt);
    const int64_t held = cache_->Adopt(id, tokens);
    cache_->Close(id);
    return held;
  }
  int64_t free() const { return cache_->usage().free_blocks; }

  std::unique_ptr<KvCache> cache_;
};

TEST_F(KvCacheTest, OnlyWholeBlocksOfTheSameSaltAreShared) {
  const Tokens tokens = Counting(0, 40);
  const SequenceId id = Computed("a", tokens);
  EXPECT_EQ(Cached("a", tokens), 32);
  EXPECT_EQ(Cached("a", Counting(0, 31)), 16);
  EXPECT_EQ(Cached("a", Counting(0, 15)), 0);
  EXPECT_EQ(Cached("a", Counting(1, 40)), 0);
  EXPECT_EQ(Cached("b", tokens), 0);
  EXPECT_EQ(Cached("", tokens), 0);
  Tokens other = tokens;
  other[20] = 7;  // in the second block
  EXPECT_EQ(Cached("a", other), 16);
  cache_->Close(id);
  EXPECT_EQ(free(), 8);
  EXPECT_EQ(cache_->usage().cached_blocks, 2);
  EXPECT_EQ(Cached("a", tokens), 32) << "also when nobody holds them";
}

TEST_F(KvCacheTest, WithoutASaltNothingIsKept) {
  cache_->Close(Computed("", Counting(0, 40)));
  EXPECT_EQ(cache_->usage().cached_blocks, 0);
  EXPECT_EQ(Cached("", Counting(0, 40)), 0);
}

// The same ids in the second block, behind another first block, are another prefix.
TEST_F(KvCacheTest, ABlockIsFoundOnlyBehindTheBlocksThatItWasComputedBehind) {
  const Tokens tail = Counting(100, 16);
  const SequenceId id = Computed("a", Joined(Counting(0, 16), tail));
  EXPECT_EQ(Cached("a", tail), 0);
  EXPECT_EQ(Cached("a", Joined(Counting(1, 16), tail)), 0);
  const SequenceId other = Computed("a", Joined(Counting(1, 16), tail));
  EXPECT_EQ(cache_->Holding(other).shared_blocks, 0);
  EXPECT_NE(cache_->Blocks(id)[1], cache_->Blocks(other)[1]);
}

TEST_F(KvCacheTest, SharedBlocksAreCountedOnceAndFreedByTheLastHolder) {
  const Tokens tokens = Counting(0, 33);
  const SequenceId a = Computed("t", tokens);
  const SequenceId b = Computed("t", tokens);
  EXPECT_EQ(free(), 8 - 4);  // two shared, and one of its own for each
  EXPECT_EQ(cache_->Blocks(a)[1], cache_->Blocks(b)[1]);
  EXPECT_NE(cache_->Blocks(a)[2], cache_->Blocks(b)[2]);
  EXPECT_EQ(cache_->Holding(a).blocks, 3);
  EXPECT_EQ(cache_->Holding(a).shared_blocks, 2);
  cache_->Close(a);
  EXPECT_EQ(free(), 8 - 3);
  EXPECT_EQ(cache_->Holding(b).shared_blocks, 0);
  cache_->Close(b);
  EXPECT_EQ(free(), 8);
}

// Both computed it before either shared it.
TEST_F(KvCacheTest, WhatTwoComputedIsKeptOnce) {
  const Tokens tokens = Counting(0, 16);
  const SequenceId a = cache_->Open("t");
  const SequenceId b = cache_->Open("t");
  for (const SequenceId id : {a, b}) {
    ASSERT_TRUE(cache_->Reserve(id, 16).ok());
    cache_->Advance(id, 16);
  }
  EXPECT_EQ(free(), 6);
  cache_->Share(a, tokens);
  cache_->Share(b, tokens);
  EXPECT_EQ(free(), 7);
  EXPECT_EQ(cache_->Blocks(a)[0], cache_->Blocks(b)[0]);
  cache_->Close(a);
  cache_->Close(b);
  EXPECT_EQ(free(), 8);
}

TEST_F(KvCacheTest, TheLeastRecentlyUsedGoesWhenRoomIsNeededAndItsEndBeforeItsBeginning) {
  const Tokens old = Counting(0, 48);
  const Tokens young = Counting(500, 48);
  cache_->Close(Computed("t", old));
  cache_->Close(Computed("t", young));
  EXPECT_EQ(Cached("t", old), 48);  // which makes it the one that was used last
  const SequenceId taker = cache_->Open();
  ASSERT_TRUE(cache_->Reserve(taker, 3 * 16).ok());  // two are empty: one must go
  EXPECT_EQ(cache_->usage().cached_blocks, 5);
  EXPECT_EQ(Cached("t", young), 32);
  EXPECT_EQ(Cached("t", old), 48);
  ASSERT_TRUE(cache_->Reserve(taker, 8 * 16).ok());
  EXPECT_EQ(cache_->usage().cached_blocks, 0);
  EXPECT_EQ(Cached("t", old), 0);
  EXPECT_EQ(cache_->Reserve(taker, 9 * 16).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(KvCacheTest, WhatSomebodyHoldsIsNeverTaken) {
  const Tokens tokens = Counting(0, 64);
  const SequenceId holder = Computed("t", tokens);
  const SequenceId taker = cache_->Open();
  EXPECT_FALSE(cache_->Reserve(taker, 5 * 16).ok());
  ASSERT_TRUE(cache_->Reserve(taker, 4 * 16).ok());
  EXPECT_EQ(Cached("t", tokens), 64);
  for (int i = 0; i < 4; ++i) {
    for (int k = 0; k < 4; ++k) EXPECT_NE(cache_->Blocks(holder)[i], cache_->Blocks(taker)[k]);
  }
}

TEST_F(KvCacheTest, TruncationFreesWhatIsBehindAndLeavesWhatIsShared) {
  const Tokens tokens = Counting(0, 20);
  const SequenceId id = Computed("t", tokens);
  ASSERT_TRUE(cache_->Reserve(id, 30).ok());
  cache_->Advance(id, 30);
  EXPECT_EQ(free(), 4);
  cache_->Truncate(id, 33);
  EXPECT_EQ(cache_->Length(id), 33);
  EXPECT_EQ(free(), 5);
  cache_->Truncate(id, 32);
  EXPECT_EQ(free(), 6);
  cache_->Truncate(id, 3);
  EXPECT_EQ(cache_->Length(id), 16) << "the shared block stays whole";
  cache_->Truncate(id, 100);
  EXPECT_EQ(cache_->Length(id), 16);
}

// Whatever hash two prefixes have: here all have the same.
TEST(PrefixIndex, AHashIsNeverTakenForWhatItStandsFor) {
  PrefixIndex index(8, [](const PrefixKey&) -> uint64_t { return 7; });
  const Tokens ids = Counting(0, 16);
  Tokens others = ids;
  others[15] = 99;
  const PrefixIndex::Node first = index.Insert({0, "a", ids}, 0);
  EXPECT_FALSE(index.Find({0, "a", others}));
  EXPECT_FALSE(index.Find({0, "b", ids}));
  EXPECT_FALSE(index.Find({0, "", ids}));
  EXPECT_FALSE(index.Find({first.id, "", ids}));
  const PrefixIndex::Node second = index.Insert({first.id, "", ids}, 1);
  index.Insert({0, "b", ids}, 2);
  EXPECT_EQ(index.Find({0, "a", ids})->block, 0);
  EXPECT_EQ(index.Find({first.id, "", ids})->block, 1);
  EXPECT_EQ(index.Find({0, "b", ids})->block, 2);
  index.Erase(0);
  EXPECT_FALSE(index.Find({0, "a", ids}));
  EXPECT_EQ(index.Find({0, "b", ids})->block, 2);
  // The same prefix again is another node: what stood behind the old one is not found behind it.
  const PrefixIndex::Node again = index.Insert({0, "a", ids}, 0);
  EXPECT_NE(again.id, first.id);
  EXPECT_FALSE(index.Find({again.id, "", ids}));
  EXPECT_EQ(index.Find({first.id, "", ids})->id, second.id);
}

}  // namespace
}  // namespace floe::inference
