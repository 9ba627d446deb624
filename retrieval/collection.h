// A collection: documents that are searched together, by an index of one way of making it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "retrieval/names.h"

namespace floe::retrieval {

inline constexpr int kDefaultChunkTokens = 128;
inline constexpr int kMinChunkTokens = 8;
inline constexpr int kMaxChunkTokens = 4096;
inline constexpr size_t kMaxDescriptionBytes = 2000;

// How an index is made.
struct IndexSettings {
  std::string embedding_model;   // as it was asked for
  std::string embedding_digest;  // what it meant: the checkpoint
  int chunk_tokens = kDefaultChunkTokens;
  int overlap_tokens = kDefaultChunkTokens / 8;

  // Whether both give the same chunks and vectors.
  bool SameIndex(const IndexSettings& other) const {
    return embedding_digest == other.embedding_digest && chunk_tokens == other.chunk_tokens &&
           overlap_tokens == other.overlap_tokens;
  }
};

// INVALID_ARGUMENT names the setting. `context` is the embedding model's.
absl::Status Validate(const IndexSettings& settings, int64_t context);

// An index that is being made. Its chunks bear its generation and are not searched yet.
struct Target {
  int64_t generation = 0;
  IndexSettings settings;
  std::string error;  // why it does not get on
};

struct Collection {
  int64_t id = 0;  // the row's
  CollectionName name;
  std::string description;
  std::string language = "english";  // a text search configuration of Postgres
  int64_t generation = 1;            // of the chunks that are searched
  IndexSettings settings;            // by which those were made
  std::optional<Target> target;
  int64_t last_generation = 1;  // a number is never given twice
  int64_t revision = 0;         // grows with every change of what is searched
  int64_t version = 0;          // grows with every change of the settings
  int64_t documents = 0;
  int64_t chunks = 0;   // of `generation`
  int64_t pending = 0;  // documents without chunks of the target
  absl::Time create_time;

  std::string etag() const;
};

// What an update asks for; what is not set stays.
struct CollectionUpdate {
  std::optional<std::string> description;
  std::optional<IndexSettings> settings;
  std::string etag;  // empty: whatever it is
};

// The collection after the update: pure. Other settings begin a new target; those that the searched
// index has end the making of another one. ABORTED (ETAG_MISMATCH) when it has changed since.
absl::StatusOr<Collection> Updated(Collection collection, const CollectionUpdate& update);

// The target has become what is searched: pure. `collection` must have one.
Collection Promoted(Collection collection);

}  // namespace floe::retrieval
