#include "retrieval/postgres/documents.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "retrieval/postgres/internal/rows.h"

namespace floe::retrieval {
namespace {

constexpr char kFind[] =
    "SELECT * FROM retrieval.document_details WHERE team = $1 AND collection_id = $2 "
    "AND document = ANY ($3::text[])";
constexpr char kGet[] =
    "SELECT * FROM retrieval.document_details WHERE team = $1 AND collection = $2 "
    "AND document = $3";
constexpr char kList[] =
    "SELECT * FROM retrieval.document_details WHERE team = $1 AND collection = $2 "
    "AND document > $3 ORDER BY document LIMIT $4";
// Chunks and vectors go with the row.
constexpr char kDelete[] =
    "DELETE FROM retrieval.documents WHERE team = $1 AND collection_id = $2 AND document = $3";
constexpr char kInsert[] =
    "INSERT INTO retrieval.documents (team, collection_id, document, title, format, source, "
    "content, digest, built_generation, update_time) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";
constexpr char kRead[] =
    "SELECT substring(d.content FROM $4 + 1 FOR $5) AS piece, d.digest, length(d.content) AS size "
    "FROM retrieval.documents d JOIN retrieval.collections c ON c.id = d.collection_id "
    "WHERE d.team = $1 AND c.collection = $2 AND d.document = $3";
constexpr char kChunks[] =
    "SELECT k.* FROM retrieval.chunks k JOIN retrieval.collections c ON c.id = k.collection_id "
    "WHERE k.team = $1 AND k.document_id = $2 AND k.generation = c.generation AND k.index > $3 "
    "ORDER BY k.index LIMIT $4";

absl::StatusOr<Document> ReadDetails(pqxx::transaction_base& sql, const DocumentName& name) {
  const auto rows = sql.exec_params(kGet, name.collection.team, name.collection.id, name.id);
  if (rows.empty()) return NotFound(ToString(name));
  return DocumentOf(rows[0]);
}

}  // namespace

absl::StatusOr<std::vector<Document>> PostgresDocuments::Find(const Collection& collection,
                                                              const std::vector<std::string>& ids) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<Document>> {
        std::vector<Document> found;
        for (const auto& row :
             sql.exec_params(kFind, collection.name.team, collection.id, SqlArray(ids))) {
          FLOE_ASSIGN_OR_RETURN(found.emplace_back(), DocumentOf(row));
        }
        return found;
      });
}

absl::Status PostgresDocuments::Replace(const RequestKey& request, const Collection& collection,
                                        const std::vector<IndexedDocument>& documents,
                                        absl::Time now) {
  const CollectionName& name = collection.name;
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const bool first, FirstTime(sql, name.team, request, now));
    if (!first || documents.empty()) return absl::OkStatus();
    // One writer a collection at a time: revisions are given in the order of the commits.
    FLOE_ASSIGN_OR_RETURN(const Collection current, ReadCollection(sql, name, RowLock::kUpdate));
    if (current.id != collection.id || current.generation != collection.generation) {
      return WithReason(absl::AbortedError(absl::StrCat(
                            ToString(name),
                            " got a new index while documents were prepared for the old one; "
                            "send them again")),
                        "INDEX_CHANGED");
    }
    for (const IndexedDocument& one : documents) {
      const NewDocument& document = one.document;
      sql.exec_params(kDelete, name.team, current.id, document.id);
      const auto row = sql.exec_params1(kInsert, name.team, current.id, document.id, document.title,
                                        std::string(FormatName(document.format)), document.source,
                                        pqxx::binarystring(document.content), one.digest,
                                        current.generation, SqlTime(now));
      InsertChunks(sql, current, row[0].as<int64_t>(), current.generation, one.chunks);
    }
    RaiseRevision(sql, current);
    return absl::OkStatus();
  });
}

absl::StatusOr<Document> PostgresDocuments::Get(const DocumentName& name) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) { return ReadDetails(sql, name); });
}

absl::StatusOr<Listed<Document>> PostgresDocuments::List(const CollectionName& collection,
                                                         const Page& page) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Listed<Document>> {
    // A collection that is not there is no empty one.
    FLOE_RETURN_IF_ERROR(ReadCollection(sql, collection, RowLock::kNone).status());
    Listed<Document> listed;
    const auto rows =
        sql.exec_params(kList, collection.team, collection.id, page.after, page.size + 1);
    for (const auto& row : rows) {
      if (static_cast<int>(listed.items.size()) == page.size) {
        listed.next = listed.items.back().name.id;
        break;
      }
      FLOE_ASSIGN_OR_RETURN(listed.items.emplace_back(), DocumentOf(row));
    }
    return listed;
  });
}

absl::StatusOr<DocumentStore::Piece> PostgresDocuments::Read(const DocumentName& name,
                                                             int64_t begin, int64_t end) {
  if (begin < 0 || end < 0 || (end > 0 && end < begin)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "bytes ", begin, " to ", end, " are none; write 0 <= begin <= end, or end 0 for all"));
  }
  // substring() counts in 32 bits; documents are far below.
  const int64_t from = std::min<int64_t>(begin, kMaxDocumentBytes + 1);
  const int64_t count = end == 0 ? kMaxDocumentBytes : std::min<int64_t>(end, kMaxDocumentBytes);
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Piece> {
    const auto rows = sql.exec_params(kRead, name.collection.team, name.collection.id, name.id,
                                      static_cast<int>(from), static_cast<int>(count));
    if (rows.empty()) return NotFound(ToString(name));
    const int64_t size = rows[0]["size"].as<int64_t>();
    if (begin > size || end > size) {
      return absl::OutOfRangeError(absl::StrCat(ToString(name), " has ", size, " bytes; ", begin,
                                                " to ", end, " goes beyond them"));
    }
    const pqxx::binarystring piece(rows[0]["piece"]);
    Piece out{std::string(piece.get(), piece.size()), rows[0]["digest"].as<std::string>()};
    if (end > 0) out.bytes.resize(static_cast<size_t>(end - begin));
    return out;
  });
}

absl::Status PostgresDocuments::Delete(const RequestKey& request, const DocumentName& name,
                                       absl::Time now) {
  const std::string& team = name.collection.team;
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const bool first, FirstTime(sql, team, request, now));
    if (!first) return absl::OkStatus();
    FLOE_ASSIGN_OR_RETURN(const Collection collection,
                          ReadCollection(sql, name.collection, RowLock::kUpdate));
    const auto deleted = sql.exec_params(kDelete, team, collection.id, name.id);
    if (deleted.affected_rows() == 0) return NotFound(ToString(name));
    RaiseRevision(sql, collection);
    return absl::OkStatus();
  });
}

absl::StatusOr<Listed<Chunk>> PostgresDocuments::ListChunks(const DocumentName& name,
                                                            const Page& page) {
  int after = -1;
  if (!page.after.empty() && !absl::SimpleAtoi(page.after, &after)) {
    return absl::InvalidArgumentError("page_token is none of this list; leave it out to begin");
  }
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Listed<Chunk>> {
    FLOE_ASSIGN_OR_RETURN(const Document document, ReadDetails(sql, name));
    Listed<Chunk> listed;
    const auto rows =
        sql.exec_params(kChunks, name.collection.team, document.row, after, page.size + 1);
    for (const auto& row : rows) {
      if (static_cast<int>(listed.items.size()) == page.size) {
        listed.next = absl::StrCat(listed.items.back().index);
        break;
      }
      listed.items.push_back(ChunkOf(row));
    }
    return listed;
  });
}

}  // namespace floe::retrieval
