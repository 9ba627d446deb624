// The vector indexes of collections, in memory, following what the database says.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"

#include "retrieval/ports.h"

namespace floe::retrieval {

// Thread-safe. Borrows `tables`. An index is made from the vectors in the database when it is first
// asked for, and brought up to date when the collection's revision has grown: new vectors are
// added, those that are gone are removed; another generation is another index. So every process
// sees what any other has changed, at the price of reading the collection's chunk ids after each
// change.
class Indexes {
 public:
  struct Options {
    size_t max_collections = 64;  // in memory; the least recently used leaves first
  };

  Indexes(SearchTables& tables, MakeVectorIndex make, Options options)
      : tables_(tables), make_(std::move(make)), options_(options) {}

  // The nearest chunks of what the collection has now, or has had since `collection` was read.
  absl::StatusOr<std::vector<Neighbour>> Nearest(const Collection& collection,
                                                 std::span<const float> query, int count);
  // Makes the index, for searches to come.
  absl::Status Warm(const Collection& collection);
  // Vectors in memory, over all collections; for tests and metrics.
  size_t vectors() const;

 private:
  struct Entry {
    std::shared_mutex mutex;
    // Guarded by mutex.
    int64_t generation = 0;
    int64_t revision = -1;
    size_t removed = 0;  // still take memory in the index
    absl::flat_hash_set<int64_t> ids;
    std::unique_ptr<VectorIndex> index;  // null: no vector yet

    bool Serves(const Collection& collection) const {
      return generation == collection.generation && revision >= collection.revision;
    }
  };

  std::shared_ptr<Entry> EntryOf(int64_t collection_id);
  // Under the entry's exclusive lock.
  absl::Status Follow(const CollectionName& name, Entry& entry);
  absl::Status AddVectors(const CollectionName& name, std::span<const int64_t> ids, Entry& entry);

  SearchTables& tables_;
  const MakeVectorIndex make_;
  const Options options_;
  mutable std::mutex mutex_;
  // By collection row; guarded by mutex_. Shared: who searches keeps an entry that leaves.
  std::map<int64_t, std::shared_ptr<Entry>> entries_;
  std::list<int64_t> order_;  // most recently used first; guarded by mutex_
};

}  // namespace floe::retrieval
