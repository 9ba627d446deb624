#include "retrieval/indexes.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace floe::retrieval {
namespace {

// Vectors read at once: a few megabytes.
constexpr size_t kBatch = 2000;
// An index with more removed vectors than this, and than it has others, is made anew.
constexpr size_t kMaxRemoved = 1000;

}  // namespace

std::shared_ptr<Indexes::Entry> Indexes::EntryOf(int64_t collection_id) {
  const std::lock_guard lock(mutex_);
  order_.remove(collection_id);
  order_.push_front(collection_id);
  std::shared_ptr<Entry>& entry = entries_[collection_id];
  if (entry == nullptr) entry = std::make_shared<Entry>();
  if (order_.size() > options_.max_collections) {
    entries_.erase(order_.back());
    order_.pop_back();
  }
  return entry;
}

absl::StatusOr<std::vector<Neighbour>> Indexes::Nearest(const Collection& collection,
                                                        std::span<const float> query, int count) {
  const std::shared_ptr<Entry> entry = EntryOf(collection.id);
  const auto search = [&] {
    return entry->index == nullptr ? std::vector<Neighbour>() : entry->index->Nearest(query, count);
  };
  {
    const std::shared_lock lock(entry->mutex);
    if (entry->Serves(collection)) return search();
  }
  const std::unique_lock lock(entry->mutex);
  if (!entry->Serves(collection)) FLOE_RETURN_IF_ERROR(Follow(collection.name, *entry));
  // Another model may be what is searched by now: its vectors are not the query's kind.
  if (entry->generation != collection.generation) return std::vector<Neighbour>();
  return search();
}

absl::Status Indexes::Warm(const Collection& collection) {
  const std::shared_ptr<Entry> entry = EntryOf(collection.id);
  const std::unique_lock lock(entry->mutex);
  return entry->Serves(collection) ? absl::OkStatus() : Follow(collection.name, *entry);
}

size_t Indexes::vectors() const {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& [id, entry] : entries_) {
    const std::shared_lock entry_lock(entry->mutex);
    count += entry->ids.size();
  }
  return count;
}

absl::Status Indexes::Follow(const CollectionName& name, Entry& entry) {
  FLOE_ASSIGN_OR_RETURN(const IndexState state, tables_.State(name));
  if (state.generation == entry.generation && state.revision <= entry.revision) {
    return absl::OkStatus();
  }
  std::vector<int64_t> gone;
  for (const int64_t id : entry.ids) {
    if (!std::binary_search(state.chunk_ids.begin(), state.chunk_ids.end(), id)) gone.push_back(id);
  }
  const size_t removed = entry.removed + gone.size();
  if (state.generation != entry.generation ||
      (removed > kMaxRemoved && removed > state.chunk_ids.size())) {
    entry.index.reset();
    entry.ids.clear();
    entry.removed = 0;
  } else {
    for (const int64_t id : gone) {
      entry.index->Remove(id);
      entry.ids.erase(id);
    }
    entry.removed = removed;
  }
  // Until all vectors are there, the index serves nobody: an error leaves it to the next search.
  entry.generation = state.generation;
  entry.revision = -1;
  std::vector<int64_t> missing;
  for (const int64_t id : state.chunk_ids) {
    if (!entry.ids.contains(id)) missing.push_back(id);
  }
  for (size_t begin = 0; begin < missing.size(); begin += kBatch) {
    const size_t count = std::min(kBatch, missing.size() - begin);
    FLOE_RETURN_IF_ERROR(AddVectors(name, std::span(missing).subspan(begin, count), entry));
  }
  entry.revision = state.revision;
  return absl::OkStatus();
}

absl::Status Indexes::AddVectors(const CollectionName& name, std::span<const int64_t> ids,
                                 Entry& entry) {
  FLOE_ASSIGN_OR_RETURN(const std::vector<StoredVector> vectors, tables_.Vectors(name, ids));
  for (const StoredVector& vector : vectors) {
    if (entry.index == nullptr) entry.index = make_(vector.values.size());
    FLOE_RETURN_IF_ERROR(entry.index->Add(vector.id, vector.values));
    entry.ids.insert(vector.id);
  }
  return absl::OkStatus();
}

}  // namespace floe::retrieval
