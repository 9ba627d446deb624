#include "retrieval/postgres/collections.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "retrieval/postgres/internal/rows.h"
#include "retrieval/postgres/internal/save_collection.h"

namespace floe::retrieval {
namespace {

constexpr char kKnowsLanguage[] =
    "SELECT 1 FROM pg_ts_config WHERE cfgname = $1 AND pg_ts_config_is_visible(oid)";
constexpr char kInsert[] =
    "INSERT INTO retrieval.collections (team, collection, description, language, generation, "
    "last_generation, embedding_model, embedding_digest, chunk_tokens, overlap_tokens, "
    "create_time) VALUES ($1, $2, $3, $4::regconfig, $5, $6, $7, $8, $9, $10, $11) "
    "ON CONFLICT (team, collection) DO NOTHING";
constexpr char kList[] =
    "SELECT * FROM retrieval.collection_details WHERE team = $1 AND collection > $2 "
    "ORDER BY collection LIMIT $3";
constexpr char kSave[] =
    "UPDATE retrieval.collections SET description = $3, generation = $4, last_generation = $5, "
    "embedding_model = $6, embedding_digest = $7, chunk_tokens = $8, overlap_tokens = $9, "
    "target_generation = NULLIF($10::bigint, 0), target_model = $11, target_digest = $12, "
    "target_chunk = $13, target_overlap = $14, target_error = $15, revision = $16, version = $17 "
    "WHERE team = $1 AND id = $2";
constexpr char kDropOtherGenerations[] =
    "DELETE FROM retrieval.chunks WHERE team = $1 AND collection_id = $2 "
    "AND generation <> $3 AND generation <> $4";
constexpr char kDelete[] = "DELETE FROM retrieval.collections WHERE team = $1 AND id = $2";

}  // namespace

void SaveCollection(pqxx::transaction_base& sql, const Collection& collection) {
  const Target none;
  const Target& target = collection.target ? *collection.target : none;
  const IndexSettings& settings = collection.settings;
  const std::string& team = collection.name.team;
  sql.exec_params(kSave, team, collection.id, collection.description, collection.generation,
                  collection.last_generation, settings.embedding_model, settings.embedding_digest,
                  settings.chunk_tokens, settings.overlap_tokens, target.generation,
                  target.settings.embedding_model, target.settings.embedding_digest,
                  target.settings.chunk_tokens, target.settings.overlap_tokens, target.error,
                  collection.revision, collection.version);
  sql.exec_params(kDropOtherGenerations, team, collection.id, collection.generation,
                  target.generation);
}

absl::StatusOr<Collection> PostgresCollections::Create(const RequestKey& request,
                                                       const Collection& c) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Collection> {
    FLOE_ASSIGN_OR_RETURN(const bool first, FirstTime(sql, c.name.team, request, c.create_time));
    if (!first) return ReadCollection(sql, c.name, RowLock::kNone);
    if (sql.exec_params(kKnowsLanguage, c.language).empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("language is \"", c.language,
                       "\"; write simple, english, or another that `\\dF` lists in psql"));
    }
    const auto inserted =
        sql.exec_params(kInsert, c.name.team, c.name.id, c.description, c.language, c.generation,
                        c.last_generation, c.settings.embedding_model, c.settings.embedding_digest,
                        c.settings.chunk_tokens, c.settings.overlap_tokens, SqlTime(c.create_time));
    if (inserted.affected_rows() == 0) {
      return WithReason(absl::AlreadyExistsError(absl::StrCat(
                            ToString(c.name), " exists; choose another id or delete it first")),
                        "COLLECTION_EXISTS");
    }
    return ReadCollection(sql, c.name, RowLock::kNone);
  });
}

absl::StatusOr<Collection> PostgresCollections::Get(const CollectionName& name) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) { return ReadCollection(sql, name, RowLock::kNone); });
}

absl::StatusOr<Listed<Collection>> PostgresCollections::List(const std::string& team,
                                                             const Page& page) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Listed<Collection>> {
    Listed<Collection> listed;
    const auto rows = sql.exec_params(kList, team, page.after, page.size + 1);
    for (const auto& row : rows) {
      if (static_cast<int>(listed.items.size()) == page.size) {
        listed.next = listed.items.back().name.id;
        break;
      }
      listed.items.push_back(CollectionOf(row));
    }
    return listed;
  });
}

absl::StatusOr<Collection> PostgresCollections::Update(const RequestKey& request,
                                                       const CollectionName& name,
                                                       const Change& change, absl::Time now) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Collection> {
    FLOE_ASSIGN_OR_RETURN(const bool first, FirstTime(sql, name.team, request, now));
    if (!first) return ReadCollection(sql, name, RowLock::kNone);
    FLOE_ASSIGN_OR_RETURN(Collection collection, ReadCollection(sql, name, RowLock::kUpdate));
    FLOE_ASSIGN_OR_RETURN(collection, change(std::move(collection)));
    SaveCollection(sql, collection);
    return ReadCollection(sql, name, RowLock::kNone);
  });
}

absl::Status PostgresCollections::Delete(const RequestKey& request, const CollectionName& name,
                                         absl::Time now) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const bool first, FirstTime(sql, name.team, request, now));
    if (!first) return absl::OkStatus();
    FLOE_ASSIGN_OR_RETURN(const Collection collection, ReadCollection(sql, name, RowLock::kUpdate));
    sql.exec_params(kDelete, name.team, collection.id);
    return absl::OkStatus();
  });
}

}  // namespace floe::retrieval
