// The tokens of a vocabulary by their bytes: a trie laid out in preorder, which is walked from
// front to back and leaves out a branch by one jump.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace floe::inference::grammar {

// Immutable and thread-safe.
class TokenTrie {
 public:
  struct Node {
    uint32_t end = 0;        // one past the last node below this one
    uint32_t token_end = 0;  // of its tokens; they begin where those of the node before end
    uint32_t depth = 0;      // bytes up to here, at least 1
    uint8_t byte = 0;
  };

  // `tokens[id]` are the bytes of id; empty: it can have no place in a text. `end_ids` end a text.
  // `mask_size` is the number of ids in a mask, at least tokens.size().
  TokenTrie(std::vector<std::string> tokens, std::vector<int32_t> end_ids, int64_t mask_size);

  const std::vector<Node>& nodes() const { return nodes_; }
  int32_t token(uint32_t place) const { return order_[place]; }
  uint32_t max_depth() const { return max_depth_; }
  // The bytes of an id; empty also for one that is not there.
  const std::string& BytesOf(int32_t id) const;
  bool IsEnd(int32_t id) const;
  const std::vector<int32_t>& end_ids() const { return end_ids_; }
  size_t mask_words() const { return mask_words_; }

 private:
  const std::vector<std::string> tokens_;
  const std::vector<int32_t> end_ids_;
  const size_t mask_words_;
  std::vector<int32_t> order_;  // ids by their bytes
  std::vector<Node> nodes_;
  uint32_t max_depth_ = 0;
};

}  // namespace floe::inference::grammar
