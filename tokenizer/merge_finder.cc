#include "tokenizer/merge_finder.h"

#include <algorithm>
#include <utility>

namespace floe::tokenizer {

void MergeFinder::AddWord(const std::vector<TokenId>& ids, int64_t count) {
  if (ids.size() < 2) return;  // nothing to merge
  words_.push_back({symbols_.size(), static_cast<uint32_t>(ids.size()), count});
  symbols_.insert(symbols_.end(), ids.begin(), ids.end());
}

void MergeFinder::Start() {
  for (uint32_t index = 0; index < words_.size(); ++index) {
    const Word& word = words_[index];
    for (uint32_t i = 0; i + 1 < word.length; ++i) {
      Pair& pair = pairs_[Key(symbols_[word.begin + i], symbols_[word.begin + i + 1])];
      pair.count += word.count;
      if (pair.words.empty() || pair.words.back() != index) pair.words.push_back(index);
    }
  }
  std::vector<Candidate> initial;
  initial.reserve(pairs_.size());
  for (const auto& [key, pair] : pairs_) initial.push_back({pair.count, key});
  queue_ = std::priority_queue<Candidate>(std::less<Candidate>(), std::move(initial));
}

MergeFinder::Best MergeFinder::Next() {
  while (!queue_.empty()) {
    const Candidate top = queue_.top();
    queue_.pop();
    const auto found = pairs_.find(top.pair);
    if (found == pairs_.end() || found->second.count <= 0) continue;
    if (found->second.count != top.count) {  // counts have moved since it was queued
      queue_.push({found->second.count, top.pair});
      continue;
    }
    return {static_cast<TokenId>(top.pair >> 32), static_cast<TokenId>(top.pair & 0xFFFFFFFF),
            top.count};
  }
  return {};
}

void MergeFinder::Change(TokenId left, TokenId right, int64_t delta, uint32_t word) {
  const uint64_t key = Key(left, right);
  Pair& pair = pairs_[key];
  pair.count += delta;
  if (delta <= 0) return;
  if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
  grown_.push_back(key);
}

void MergeFinder::JoinInWord(uint32_t index, uint64_t pair, TokenId result) {
  Word& word = words_[index];
  const TokenId left = static_cast<TokenId>(pair >> 32);
  const TokenId right = static_cast<TokenId>(pair & 0xFFFFFFFF);
  TokenId* symbols = symbols_.data() + word.begin;
  uint32_t out = 0;
  for (uint32_t in = 0; in < word.length; ++out) {
    const bool joins = in + 1 < word.length && symbols[in] == left && symbols[in + 1] == right;
    if (!joins) {
      symbols[out] = symbols[in++];
      continue;
    }
    if (out > 0) {
      Change(symbols[out - 1], left, -word.count, index);
      Change(symbols[out - 1], result, word.count, index);
    }
    in += 2;
    if (in < word.length) {
      Change(right, symbols[in], -word.count, index);
      Change(result, symbols[in], word.count, index);
    }
    pairs_[pair].count -= word.count;
    symbols[out] = result;
  }
  word.length = out;
}

void MergeFinder::Join(TokenId left, TokenId right, TokenId result) {
  const uint64_t key = Key(left, right);
  std::vector<uint32_t> affected = std::exchange(pairs_[key].words, {});
  std::sort(affected.begin(), affected.end());
  affected.erase(std::unique(affected.begin(), affected.end()), affected.end());
  grown_.clear();
  for (const uint32_t index : affected) JoinInWord(index, key, result);
  std::sort(grown_.begin(), grown_.end());
  grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
  for (const uint64_t pair : grown_) {
    const int64_t count = pairs_[pair].count;
    if (count > 0) queue_.push({count, pair});
  }
}

}  // namespace floe::tokenizer
