#include "inference/grammar/token_trie.h"

#include <algorithm>
#include <utility>

namespace floe::inference::grammar {

TokenTrie::TokenTrie(std::vector<std::string> tokens, std::vector<int32_t> end_ids,
                     int64_t mask_size)
    : tokens_(std::move(tokens)),
      end_ids_(std::move(end_ids)),
      mask_words_(static_cast<size_t>(mask_size + 63) / 64) {
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const bool ends = IsEnd(static_cast<int32_t>(id));
    if (!tokens_[id].empty() && !ends) order_.push_back(static_cast<int32_t>(id));
  }
  std::sort(order_.begin(), order_.end(), [this](int32_t a, int32_t b) {
    return std::pair(tokens_[a], a) < std::pair(tokens_[b], b);
  });
  std::vector<uint32_t> path;  // the node of each byte of the token before
  const std::string* before = nullptr;
  for (size_t place = 0; place < order_.size(); ++place) {
    const std::string& token = tokens_[static_cast<size_t>(order_[place])];
    size_t shared = 0;
    while (before != nullptr && shared < std::min(before->size(), token.size()) &&
           (*before)[shared] == token[shared]) {
      ++shared;
    }
    for (size_t i = shared; i < path.size(); ++i) {
      nodes_[path[i]].end = static_cast<uint32_t>(nodes_.size());
    }
    path.resize(shared);
    while (path.size() < token.size()) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({.token_end = static_cast<uint32_t>(place),
                        .depth = static_cast<uint32_t>(path.size()),
                        .byte = static_cast<uint8_t>(token[path.size() - 1])});
    }
    nodes_.back().token_end = static_cast<uint32_t>(place) + 1;
    max_depth_ = std::max(max_depth_, static_cast<uint32_t>(token.size()));
    before = &token;
  }
  for (const uint32_t node : path) nodes_[node].end = static_cast<uint32_t>(nodes_.size());
}

const std::string& TokenTrie::BytesOf(int32_t id) const {
  static const std::string kNone;
  const auto index = static_cast<size_t>(id);
  return id >= 0 && index < tokens_.size() ? tokens_[index] : kNone;
}

bool TokenTrie::IsEnd(int32_t id) const {
  return std::find(end_ids_.begin(), end_ids_.end(), id) != end_ids_.end();
}

}  // namespace floe::inference::grammar
