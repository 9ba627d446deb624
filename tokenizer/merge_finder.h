// The inner loop of training: the words of a text as rows of token ids, the counts of their
// neighbouring pairs, and the next best pair.
#pragma once

#include <cstdint>
#include <queue>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "tokenizer/vocabulary.h"

namespace floe::tokenizer {

// Not thread-safe. AddWord for every distinct word, Start once, then Next and Join in turns.
class MergeFinder {
 public:
  struct Best {
    TokenId left = -1;
    TokenId right = -1;
    int64_t count = 0;  // 0: no pair is left
  };

  // `ids` are the word's single-byte tokens; `count` > 0 is how often the word occurs.
  void AddWord(const std::vector<TokenId>& ids, int64_t count);
  // Counts all pairs.
  void Start();
  // The pair with the highest count, the smaller one among equals. It leaves the queue.
  Best Next();
  // Replaces every occurrence of the pair by `result`; only words that hold the pair are visited.
  void Join(TokenId left, TokenId right, TokenId result);

 private:
  struct Word {
    uint64_t begin;  // in symbols_
    uint32_t length;
    int64_t count;
  };
  struct Pair {
    int64_t count = 0;
    std::vector<uint32_t> words;  // those that held the pair at some time, maybe repeated
  };
  struct Candidate {
    int64_t count;
    uint64_t pair;
    // For a heap whose top has the highest count, then the smallest pair.
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  static uint64_t Key(TokenId left, TokenId right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  void JoinInWord(uint32_t index, uint64_t pair, TokenId result);
  void Change(TokenId left, TokenId right, int64_t delta, uint32_t word);

  std::vector<TokenId> symbols_;
  std::vector<Word> words_;
  absl::flat_hash_map<uint64_t, Pair> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<uint64_t> grown_;  // pairs that gained occurrences in the running Join
};

}  // namespace floe::tokenizer
