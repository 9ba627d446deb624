#include "inference/engine/prefix_index.h"

#include <algorithm>

#include "absl/hash/hash.h"
#include "absl/types/span.h"

namespace floe::inference {

uint64_t HashPrefix(const PrefixKey& key) {
  return absl::HashOf(key.parent, key.salt, absl::MakeConstSpan(key.ids.data(), key.ids.size()));
}

bool PrefixIndex::Is(const Entry& entry, const PrefixKey& key) const {
  return entry.parent == key.parent && entry.salt == key.salt &&
         std::equal(entry.ids.begin(), entry.ids.end(), key.ids.begin(), key.ids.end());
}

std::optional<PrefixIndex::Node> PrefixIndex::Find(const PrefixKey& key) const {
  const auto [begin, end] = blocks_.equal_range(hash_(key));
  for (auto found = begin; found != end; ++found) {
    const Entry& entry = entries_[found->second];
    if (Is(entry, key)) return Node{entry.id, found->second};
  }
  return std::nullopt;
}

PrefixIndex::Node PrefixIndex::Insert(const PrefixKey& key, int32_t block) {
  Entry& entry = entries_[block];
  entry.id = next_id_++;
  entry.parent = key.parent;
  entry.hash = hash_(key);
  entry.salt = key.salt;
  std::copy(key.ids.begin(), key.ids.end(), entry.ids.begin());
  blocks_.emplace(entry.hash, block);
  return {entry.id, block};
}

void PrefixIndex::Erase(int32_t block) {
  Entry& entry = entries_[block];
  const auto [begin, end] = blocks_.equal_range(entry.hash);
  const auto found =
      std::find_if(begin, end, [block](const auto& item) { return item.second == block; });
  if (found != end) blocks_.erase(found);
  entry.id = 0;
}

}  // namespace floe::inference
