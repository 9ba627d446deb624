#include "retrieval/postgres/search_tables.h"

#include <utility>

#include "base/status_macros.h"
#include "retrieval/postgres/internal/rows.h"

namespace floe::retrieval {
namespace {

// Words of a query that count: rarer ones than the first 32 are hardly typed by hand.
constexpr int kMaxWords = 32;

// A lexeme as a tsquery of its own: quoted, with quotes and backslashes doubled.
constexpr char kRankByText[] =
    "WITH words AS MATERIALIZED ("
    "  SELECT ('''' || replace(replace(lexeme, E'\\\\', E'\\\\\\\\'), '''', '''''') || '''')"
    "         ::tsquery AS word"
    "  FROM unnest(tsvector_to_array(to_tsvector($4::regconfig, $5))) AS lexeme LIMIT $6),"
    "rare AS MATERIALIZED ("
    "  SELECT word, (SELECT count(*) FROM retrieval.chunks k WHERE k.team = $1 "
    "    AND k.collection_id = $2 AND k.generation = $3 AND k.search @@ word) AS having "
    "  FROM words)"
    ", scored AS MATERIALIZED ("
    "  SELECT k.id, sum(ts_rank(k.search, rare.word, 1)"
    "    * ln(1 + ($7 - rare.having + 0.5) / (rare.having + 0.5))) AS score"
    "  FROM rare JOIN retrieval.chunks k ON k.search @@ rare.word"
    "  WHERE k.team = $1 AND k.collection_id = $2 AND k.generation = $3 GROUP BY k.id) "
    "SELECT id FROM scored WHERE score >= 0.2 * (SELECT max(score) FROM scored) "
    "ORDER BY score DESC, id LIMIT $8";

constexpr char kLoad[] =
    "SELECT k.*, d.document FROM retrieval.chunks k "
    "JOIN retrieval.documents d ON d.id = k.document_id "
    "WHERE k.team = $1 AND k.collection_id = $2 AND k.generation = $3 "
    "AND k.id = ANY ($4::bigint[])";

constexpr char kChunkIds[] =
    "SELECT id FROM retrieval.chunks WHERE team = $1 AND collection_id = $2 AND generation = $3 "
    "ORDER BY id";

constexpr char kVectors[] =
    "SELECT k.id, k.vector FROM retrieval.chunks k "
    "JOIN retrieval.collections c ON c.id = k.collection_id "
    "WHERE k.team = $1 AND c.collection = $2 AND k.id = ANY ($3::bigint[]) ORDER BY k.id";

}  // namespace

absl::StatusOr<std::vector<int64_t>> PostgresSearchTables::RankByText(const Collection& collection,
                                                                      const std::string& query,
                                                                      int limit) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<int64_t>> {
        std::vector<int64_t> ids;
        for (const auto& row : sql.exec_params(kRankByText, collection.name.team, collection.id,
                                               collection.generation, collection.language, query,
                                               kMaxWords, collection.chunks, limit)) {
          ids.push_back(row[0].as<int64_t>());
        }
        return ids;
      });
}

absl::StatusOr<std::vector<FoundChunk>> PostgresSearchTables::Load(
    const Collection& collection, const std::vector<int64_t>& ids) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<FoundChunk>> {
        std::vector<FoundChunk> found;
        for (const auto& row : sql.exec_params(kLoad, collection.name.team, collection.id,
                                               collection.generation, SqlArray(ids))) {
          found.push_back({row["id"].as<int64_t>(),
                           {collection.name, row["document"].as<std::string>()},
                           ChunkOf(row)});
        }
        return found;
      });
}

absl::StatusOr<IndexState> PostgresSearchTables::State(const CollectionName& name) {
  // One snapshot for the revision and the ids.
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<IndexState> {
        FLOE_ASSIGN_OR_RETURN(const Collection collection,
                              ReadCollection(sql, name, RowLock::kNone));
        IndexState state{collection.generation, collection.revision, {}};
        for (const auto& row :
             sql.exec_params(kChunkIds, name.team, collection.id, collection.generation)) {
          state.chunk_ids.push_back(row[0].as<int64_t>());
        }
        return state;
      },
      postgres::Isolation::kRepeatableRead);
}

absl::StatusOr<std::vector<StoredVector>> PostgresSearchTables::Vectors(
    const CollectionName& name, std::span<const int64_t> ids) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<StoredVector>> {
        std::vector<StoredVector> vectors;
        for (const auto& row : sql.exec_params(kVectors, name.team, name.id, SqlArray(ids))) {
          vectors.push_back({row[0].as<int64_t>(), VectorOf(row[1])});
        }
        return vectors;
      });
}

}  // namespace floe::retrieval
