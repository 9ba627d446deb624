#include "retrieval/postgres/internal/rows.h"

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/error_reason.h"
#include "base/status_macros.h"

namespace floe::retrieval {
namespace {

constexpr char kLockRequest[] =
    "SELECT pg_advisory_xact_lock(hashtextextended("
    "'floe.retrieval.request.' || $1::text || '/' || $2::text || '/' || $3::text, 0))";
constexpr char kFindRequest[] =
    "SELECT fingerprint FROM retrieval.requests "
    "WHERE team = $1 AND method = $2 AND request_id = $3";
constexpr char kRecordRequest[] =
    "INSERT INTO retrieval.requests (team, method, request_id, fingerprint, create_time) "
    "VALUES ($1, $2, $3, $4, $5)";

constexpr char kGetCollection[] =
    "SELECT * FROM retrieval.collection_details WHERE team = $1 AND collection = $2";
constexpr char kShareCollection[] =
    "SELECT id FROM retrieval.collections WHERE team = $1 AND collection = $2 FOR SHARE";
constexpr char kLockCollection[] =
    "SELECT id FROM retrieval.collections WHERE team = $1 AND collection = $2 FOR UPDATE";
constexpr char kRaiseRevision[] =
    "UPDATE retrieval.collections SET revision = revision + 1 WHERE team = $1 AND id = $2";

constexpr char kInsertChunk[] =
    "INSERT INTO retrieval.chunks (team, collection_id, document_id, generation, index, "
    "begin_byte, end_byte, heading, text, tokens, vector, search) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
    "setweight(to_tsvector($12::regconfig, $8), 'A') || to_tsvector($12::regconfig, $9))";

static_assert(std::endian::native == std::endian::little,
              "vectors are stored as they lie in memory");

}  // namespace

std::string SqlTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

std::string SqlArray(std::span<const int64_t> ids) {
  return absl::StrCat("{", absl::StrJoin(ids, ","), "}");
}

std::string SqlArray(const std::vector<std::string>& texts) {
  std::string array = "{";
  for (const std::string& text : texts) {
    if (array.size() > 1) array += ',';
    array += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') array += '\\';
      array += c;
    }
    array += '"';
  }
  return array + "}";
}

std::string BytesOf(std::span<const float> vector) {
  std::string bytes(vector.size_bytes(), '\0');
  std::memcpy(bytes.data(), vector.data(), bytes.size());
  return bytes;
}

std::vector<float> VectorOf(const pqxx::field& field) {
  const pqxx::binarystring bytes(field);
  std::vector<float> vector(bytes.size() / sizeof(float));
  std::memcpy(vector.data(), bytes.data(), vector.size() * sizeof(float));
  return vector;
}

Collection CollectionOf(const pqxx::row& row) {
  Collection collection;
  collection.id = row["id"].as<int64_t>();
  collection.name = {row["team"].as<std::string>(), row["collection"].as<std::string>()};
  collection.description = row["description"].as<std::string>();
  collection.language = row["language_name"].as<std::string>();
  collection.generation = row["generation"].as<int64_t>();
  collection.last_generation = row["last_generation"].as<int64_t>();
  collection.settings = {row["embedding_model"].as<std::string>(),
                         row["embedding_digest"].as<std::string>(), row["chunk_tokens"].as<int>(),
                         row["overlap_tokens"].as<int>()};
  if (!row["target_generation"].is_null()) {
    Target& target = collection.target.emplace();
    target.generation = row["target_generation"].as<int64_t>();
    target.settings = {row["target_model"].as<std::string>(),
                       row["target_digest"].as<std::string>(), row["target_chunk"].as<int>(),
                       row["target_overlap"].as<int>()};
    target.error = row["target_error"].as<std::string>();
  }
  collection.revision = row["revision"].as<int64_t>();
  collection.version = row["version"].as<int64_t>();
  collection.documents = row["document_count"].as<int64_t>();
  collection.chunks = row["chunk_count"].as<int64_t>();
  collection.pending = row["pending_count"].as<int64_t>();
  collection.create_time = absl::FromUnixMicros(row["create_micros"].as<int64_t>());
  return collection;
}

absl::StatusOr<Document> DocumentOf(const pqxx::row& row) {
  Document document;
  document.row = row["id"].as<int64_t>();
  document.name = {{row["team"].as<std::string>(), row["collection"].as<std::string>()},
                   row["document"].as<std::string>()};
  document.title = row["title"].as<std::string>();
  FLOE_ASSIGN_OR_RETURN(document.format, FormatFromName(row["format"].as<std::string>()));
  document.source = row["source"].as<std::string>();
  document.digest = row["digest"].as<std::string>();
  document.size_bytes = row["size_bytes"].as<int64_t>();
  document.chunks = row["chunk_count"].as<int64_t>();
  document.update_time = absl::FromUnixMicros(row["update_micros"].as<int64_t>());
  return document;
}

Chunk ChunkOf(const pqxx::row& row) {
  return {row["index"].as<int>(),        row["begin_byte"].as<int64_t>(),
          row["end_byte"].as<int64_t>(), row["heading"].as<std::string>(),
          row["text"].as<std::string>(), row["tokens"].as<int>()};
}

absl::StatusOr<bool> FirstTime(pqxx::transaction_base& sql, const std::string& team,
                               const RequestKey& request, absl::Time now) {
  if (request.id.empty()) return true;
  sql.exec_params(kLockRequest, team, request.method, request.id);
  const auto rows = sql.exec_params(kFindRequest, team, request.method, request.id);
  if (rows.empty()) {
    sql.exec_params(kRecordRequest, team, request.method, request.id, request.fingerprint,
                    SqlTime(now));
    return true;
  }
  if (rows[0][0].as<std::string>() == request.fingerprint) return false;
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        "request_id ", request.id, " was used for another ", request.method,
                        " before; give every new change an id of its own")),
                    "REQUEST_ID_REUSED");
}

absl::StatusOr<Collection> ReadCollection(pqxx::transaction_base& sql, const CollectionName& name,
                                          RowLock lock) {
  if (lock == RowLock::kShare) sql.exec_params(kShareCollection, name.team, name.id);
  if (lock == RowLock::kUpdate) sql.exec_params(kLockCollection, name.team, name.id);
  const auto rows = sql.exec_params(kGetCollection, name.team, name.id);
  if (rows.empty()) return NotFound(ToString(name));
  return CollectionOf(rows[0]);
}

void InsertChunks(pqxx::transaction_base& sql, const Collection& collection, int64_t document_row,
                  int64_t generation, const std::vector<IndexedChunk>& chunks) {
  for (const IndexedChunk& one : chunks) {
    const Chunk& chunk = one.chunk;
    sql.exec_params(kInsertChunk, collection.name.team, collection.id, document_row, generation,
                    chunk.index, chunk.begin, chunk.end, chunk.heading, chunk.text, chunk.tokens,
                    pqxx::binarystring(BytesOf(one.vector)), collection.language);
  }
}

void RaiseRevision(pqxx::transaction_base& sql, const Collection& collection) {
  sql.exec_params(kRaiseRevision, collection.name.team, collection.id);
}

}  // namespace floe::retrieval
