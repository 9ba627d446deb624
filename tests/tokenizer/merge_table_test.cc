#include "tokenizer/merge_table.h"

#include <gtest/gtest.h>

#include <random>

namespace floe::tokenizer {
namespace {

// The definition, word for word: again and again the smallest rank, the leftmost of equals.
std::vector<TokenId> ByDefinition(const MergeTable& table, std::vector<TokenId> symbols) {
  for (;;) {
    MergeTable::Entry best;
    size_t at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const MergeTable::Entry entry = table.Find(symbols[i], symbols[i + 1]);
      if (entry.rank < best.rank) {
        best = entry;
        at = i;
      }
    }
    if (best.rank == MergeTable::kNoMerge) return symbols;
    symbols[at] = best.result;
    symbols.erase(symbols.begin() + static_cast<long>(at) + 1);
  }
}

// Lists as no trainer makes them: merges in front of those that make their parts, one result made
// in several ways, one pair listed twice.
std::vector<Merge> RandomMerges(std::mt19937& random, int alphabet, int count) {
  std::vector<Merge> merges;
  for (int i = 0; i < count; ++i) {
    const auto any = [&] { return static_cast<TokenId>(random() % (alphabet + count / 2)); };
    merges.push_back({any(), any(), static_cast<TokenId>(alphabet + random() % (count / 2 + 1))});
  }
  return merges;
}

TEST(MergeTableTest, MergesInTheOrderOfTheDefinitionWhateverTheLength) {
  std::mt19937 random(11);
  for (int round = 0; round < 400; ++round) {
    const int alphabet = 1 + static_cast<int>(random() % 4);
    const MergeTable table(RandomMerges(random, alphabet, 1 + static_cast<int>(random() % 40)),
                           round % 2 == 0);
    std::vector<TokenId> symbols(1 + random() % 300);
    for (TokenId& symbol : symbols) symbol = static_cast<TokenId>(random() % alphabet);
    const std::vector<TokenId> expected = ByDefinition(table, symbols);
    table.Apply(symbols);
    ASSERT_EQ(symbols, expected) << "round " << round;
  }
}

TEST(MergeTableTest, LongRunsPairUpFromTheLeft) {
  const MergeTable table(std::vector<Merge>{{0, 0, 1}, {1, 1, 2}});
  std::vector<TokenId> symbols(100003, 0);
  table.Apply(symbols);
  std::vector<TokenId> expected(25000, 2);
  expected.insert(expected.end(), {1, 0});
  EXPECT_EQ(symbols, expected);
}

}  // namespace
}  // namespace floe::tokenizer
