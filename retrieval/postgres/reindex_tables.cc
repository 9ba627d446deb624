#include "retrieval/postgres/reindex_tables.h"

#include <utility>

#include "base/status_macros.h"
#include "retrieval/postgres/internal/rows.h"
#include "retrieval/postgres/internal/save_collection.h"

namespace floe::retrieval {
namespace {

// The one query over all teams: the service's own round. What it does then is done team by team.
constexpr char kNames[] =
    "SELECT team, collection FROM retrieval.collections "
    "WHERE NOT $1 OR target_generation IS NOT NULL ORDER BY id";
constexpr char kPending[] =
    "SELECT d.*, p.content FROM retrieval.document_details d "
    "JOIN retrieval.documents p ON p.id = d.id "
    "WHERE d.team = $1 AND d.collection_id = $2 AND p.built_generation < $3 "
    "ORDER BY d.id LIMIT $4";
// Nothing when the document was replaced or deleted, or another process was faster.
constexpr char kBuilt[] =
    "UPDATE retrieval.documents SET built_generation = $4 WHERE team = $1 AND collection_id = $2 "
    "AND id = $3 AND built_generation < $4";
constexpr char kSetError[] =
    "UPDATE retrieval.collections SET target_error = $4 WHERE team = $1 AND id = $2 "
    "AND target_generation = $3";

bool StillWanted(const Collection& now, const Collection& then) {
  return now.id == then.id && now.target && now.target->generation == then.target->generation;
}

}  // namespace

absl::StatusOr<std::vector<CollectionName>> PostgresReindexTables::Names(bool with_target) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<CollectionName>> {
        std::vector<CollectionName> names;
        for (const auto& row : sql.exec_params(kNames, with_target)) {
          names.push_back({row[0].as<std::string>(), row[1].as<std::string>()});
        }
        return names;
      });
}

absl::StatusOr<std::vector<PendingDocument>> PostgresReindexTables::Pending(
    const Collection& collection, int limit) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<PendingDocument>> {
        std::vector<PendingDocument> pending;
        for (const auto& row : sql.exec_params(kPending, collection.name.team, collection.id,
                                               collection.target->generation, limit)) {
          FLOE_ASSIGN_OR_RETURN(Document document, DocumentOf(row));
          const pqxx::binarystring content(row["content"]);
          NewDocument text{document.name.id, document.title, document.format, document.source,
                           std::string(content.get(), content.size())};
          pending.push_back({std::move(document), std::move(text)});
        }
        return pending;
      });
}

absl::Status PostgresReindexTables::AddTargetChunks(const Collection& collection,
                                                    const Document& document,
                                                    const std::vector<IndexedChunk>& chunks) {
  const CollectionName& name = collection.name;
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    // Shared: the target stays wanted until this is done.
    FLOE_ASSIGN_OR_RETURN(const Collection now, ReadCollection(sql, name, RowLock::kShare));
    if (!StillWanted(now, collection)) return absl::OkStatus();
    const int64_t generation = collection.target->generation;
    const auto built = sql.exec_params(kBuilt, name.team, now.id, document.row, generation);
    if (built.affected_rows() == 1) InsertChunks(sql, now, document.row, generation, chunks);
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> PostgresReindexTables::Promote(const Collection& collection) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<bool> {
    FLOE_ASSIGN_OR_RETURN(const Collection now,
                          ReadCollection(sql, collection.name, RowLock::kUpdate));
    if (!StillWanted(now, collection) || now.pending > 0) return false;
    SaveCollection(sql, Promoted(now));
    return true;
  });
}

absl::Status PostgresReindexTables::SetError(const Collection& collection,
                                             const std::string& error) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    sql.exec_params(kSetError, collection.name.team, collection.id, collection.target->generation,
                    error);
    return absl::OkStatus();
  });
}

}  // namespace floe::retrieval
