// What the repositories of this folder share: rows to values, and requests that come twice.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <pqxx/pqxx>

#include "retrieval/ports.h"

namespace floe::retrieval {

// A time as Postgres reads it.
std::string SqlTime(absl::Time time);

// `{1,2,3}`: a bigint[] as Postgres reads it; and a text[].
std::string SqlArray(std::span<const int64_t> ids);
std::string SqlArray(const std::vector<std::string>& texts);

// Little-endian singles. The way back gives nothing for bytes that are none.
std::string BytesOf(std::span<const float> vector);
std::vector<float> VectorOf(const pqxx::field& bytes);

// Rows of collection_details and document_details, and of chunks.
Collection CollectionOf(const pqxx::row& row);
absl::StatusOr<Document> DocumentOf(const pqxx::row& row);
Chunk ChunkOf(const pqxx::row& row);

// Whether the change is the first of its request id, which is remembered; true without an id. Holds
// back others of the same id until the transaction ends. INVALID_ARGUMENT (REQUEST_ID_REUSED) when
// the first one asked for something else.
absl::StatusOr<bool> FirstTime(pqxx::transaction_base& sql, const std::string& team,
                               const RequestKey& request, absl::Time now);

// The collection by name; NOT_FOUND. With a lock on its row: `kShare` keeps its settings as they
// are, `kUpdate` keeps everyone else out.
enum class RowLock { kNone, kShare, kUpdate };
absl::StatusOr<Collection> ReadCollection(pqxx::transaction_base& sql, const CollectionName& name,
                                          RowLock lock);

// Inserts the chunks of a document for a generation.
void InsertChunks(pqxx::transaction_base& sql, const Collection& collection, int64_t document_row,
                  int64_t generation, const std::vector<IndexedChunk>& chunks);

// What is searched has changed.
void RaiseRevision(pqxx::transaction_base& sql, const Collection& collection);

}  // namespace floe::retrieval
