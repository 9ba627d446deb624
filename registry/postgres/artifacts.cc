#include "registry/postgres/artifacts.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "registry/postgres/internal/transaction.h"

namespace floe::registry {
namespace {

constexpr char kDatasetByRevision[] = "SELECT * FROM registry.dataset_details WHERE revision = $1";
constexpr char kNewestDataset[] =
    "SELECT * FROM registry.dataset_details WHERE team = $1 AND dataset = $2 "
    "AND ($3 = '' OR digest = $3) ORDER BY revision DESC LIMIT 1";
constexpr char kNewestDatasets[] =
    "SELECT DISTINCT ON (dataset) revision FROM registry.datasets WHERE team = $1 AND dataset > $2 "
    "ORDER BY dataset, revision DESC LIMIT $3";
constexpr char kLockDataset[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('floe.registry.dataset.' || $1::text || '/' || "
    "$2::text, 0))";
constexpr char kInsertDataset[] =
    "INSERT INTO registry.datasets (team, dataset, digest, format, documents, description, "
    "creator, create_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING revision";

constexpr char kTokenizerByRevision[] =
    "SELECT * FROM registry.tokenizer_details WHERE revision = $1";
constexpr char kNewestTokenizer[] =
    "SELECT * FROM registry.tokenizer_details WHERE team = $1 AND tokenizer = $2 "
    "AND ($3 = '' OR digest = $3) ORDER BY revision DESC LIMIT 1";
constexpr char kNewestTokenizers[] =
    "SELECT DISTINCT ON (tokenizer) revision FROM registry.tokenizers WHERE team = $1 "
    "AND tokenizer > $2 ORDER BY tokenizer, revision DESC LIMIT $3";
constexpr char kLockTokenizer[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('floe.registry.tokenizer.' || $1::text || '/' "
    "|| $2::text, 0))";
constexpr char kInsertTokenizer[] =
    "INSERT INTO registry.tokenizers (team, tokenizer, digest, config_digest, vocab_size, "
    "dataset_digest, job, bytes_per_token, creator, create_time) "
    "VALUES ($1, $2, $3, NULLIF($4, ''), $5, $6, $7, $8, $9, $10) RETURNING revision";

Dataset DatasetOf(const pqxx::row& row) {
  Dataset dataset;
  dataset.name = {row["team"].as<std::string>(), row["dataset"].as<std::string>()};
  dataset.blob = {row["digest"].as<std::string>(), row["size_bytes"].as<int64_t>()};
  dataset.format = row["format"].as<std::string>();
  dataset.documents = row["documents"].as<int64_t>();
  dataset.description = row["description"].as<std::string>();
  dataset.creator = row["creator"].as<std::string>();
  dataset.create_time = TimeOf(row["create_micros"]);
  return dataset;
}

TokenizerRevision TokenizerOf(const pqxx::row& row) {
  TokenizerRevision tokenizer;
  tokenizer.name = {row["team"].as<std::string>(), row["tokenizer"].as<std::string>()};
  tokenizer.digest = row["digest"].as<std::string>();
  tokenizer.config_digest = row["config_digest"].as<std::string>();
  tokenizer.vocab_size = row["vocab_size"].as<int64_t>();
  tokenizer.dataset_digest = row["dataset_digest"].as<std::string>();
  tokenizer.job = row["job"].as<std::string>();
  tokenizer.bytes_per_token = DoubleOf(row["bytes_per_token"]);
  tokenizer.creator = row["creator"].as<std::string>();
  tokenizer.create_time = TimeOf(row["create_micros"]);
  return tokenizer;
}

int64_t Insert(pqxx::transaction_base& sql, const Dataset& d) {
  return sql
      .exec_params1(kInsertDataset, d.name.team, d.name.id, d.blob.digest, d.format, d.documents,
                    d.description, d.creator, SqlTime(d.create_time))[0]
      .as<int64_t>();
}

int64_t Insert(pqxx::transaction_base& sql, const TokenizerRevision& t) {
  return sql
      .exec_params1(kInsertTokenizer, t.name.team, t.name.id, t.digest, t.config_digest,
                    t.vocab_size, t.dataset_digest, t.job, SqlDouble(t.bytes_per_token), t.creator,
                    SqlTime(t.create_time))[0]
      .as<int64_t>();
}

std::vector<VersionFile> BlobsOf(const TokenizerRevision& tokenizer) {
  std::vector<VersionFile> blobs = {{"tokenizer.digest", {tokenizer.digest, 0}}};
  if (!tokenizer.config_digest.empty()) {
    blobs.push_back({"tokenizer.config_digest", {tokenizer.config_digest, 0}});
  }
  return blobs;
}

// A page of rows that `list` finds (one more than fits tells that there is a next page), each read
// by `by_revision`.
template <typename T, typename Of>
absl::StatusOr<Listed<T>> List(pqxx::transaction_base& sql, const char* list,
                               const char* by_revision, const std::string& team, const Page& page,
                               Of of) {
  Listed<T> listed;
  const auto rows = sql.exec_params(list, team, page.after, page.size + 1);
  for (const auto& row : rows) {
    if (static_cast<int>(listed.items.size()) == page.size) {
      listed.next = listed.items.back().name.id;
      break;
    }
    listed.items.push_back(of(sql.exec_params1(by_revision, row[0].as<int64_t>())));
  }
  return listed;
}

}  // namespace

absl::StatusOr<Dataset> PostgresArtifacts::CreateDataset(const RequestKey& request,
                                                         const Dataset& dataset) {
  const OwnedName& name = dataset.name;
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Dataset> {
    FLOE_ASSIGN_OR_RETURN(const auto first, FirstAnswer(sql, name.team, request));
    if (first) return DatasetOf(sql.exec_params1(kDatasetByRevision, *first));
    sql.exec_params(kLockDataset, name.team, name.id);
    const auto existing = sql.exec_params(kNewestDataset, name.team, name.id, dataset.blob.digest);
    int64_t revision = 0;
    if (!existing.empty()) {
      revision = existing[0]["revision"].as<int64_t>();
    } else {
      FLOE_RETURN_IF_ERROR(
          HoldBlobs(sql, request.caller_team, name.team, {{"dataset.digest", dataset.blob}}));
      revision = Insert(sql, dataset);
    }
    RecordAnswer(sql, name.team, request, revision, dataset.create_time);
    return DatasetOf(sql.exec_params1(kDatasetByRevision, revision));
  });
}

absl::StatusOr<Dataset> PostgresArtifacts::GetDataset(const RevisionName& name) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Dataset> {
    const auto rows = sql.exec_params(kNewestDataset, name.name.team, name.name.id, name.digest);
    if (!rows.empty()) return DatasetOf(rows[0]);
    return NotFound(
        absl::StrCat(DatasetName(name.name), name.digest.empty() ? "" : "@sha256:", name.digest));
  });
}

absl::StatusOr<Listed<Dataset>> PostgresArtifacts::ListDatasets(std::string_view team,
                                                                const Page& page) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) {
    return List<Dataset>(sql, kNewestDatasets, kDatasetByRevision, std::string(team), page,
                         DatasetOf);
  });
}

absl::StatusOr<TokenizerRevision> PostgresArtifacts::CreateTokenizer(
    const RequestKey& request, const TokenizerRevision& tokenizer) {
  const OwnedName& name = tokenizer.name;
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<TokenizerRevision> {
    FLOE_ASSIGN_OR_RETURN(const auto first, FirstAnswer(sql, name.team, request));
    if (first) return TokenizerOf(sql.exec_params1(kTokenizerByRevision, *first));
    sql.exec_params(kLockTokenizer, name.team, name.id);
    const auto existing = sql.exec_params(kNewestTokenizer, name.team, name.id, tokenizer.digest);
    int64_t revision = 0;
    if (!existing.empty()) {
      revision = existing[0]["revision"].as<int64_t>();
      const std::string config = existing[0]["config_digest"].as<std::string>();
      if (config != tokenizer.config_digest) {
        return WithReason(
            absl::AlreadyExistsError(absl::StrCat(
                TokenizerName(name), "@sha256:", tokenizer.digest, " exists with config_digest '",
                config, "', not '", tokenizer.config_digest,
                "'; a revision does not change: register it under another name")),
            "TOKENIZER_EXISTS");
      }
    } else {
      FLOE_RETURN_IF_ERROR(HoldBlobs(sql, request.caller_team, name.team, BlobsOf(tokenizer)));
      revision = Insert(sql, tokenizer);
    }
    RecordAnswer(sql, name.team, request, revision, tokenizer.create_time);
    return TokenizerOf(sql.exec_params1(kTokenizerByRevision, revision));
  });
}

absl::StatusOr<TokenizerRevision> PostgresArtifacts::GetTokenizer(const RevisionName& name) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<TokenizerRevision> {
    const auto rows = sql.exec_params(kNewestTokenizer, name.name.team, name.name.id, name.digest);
    if (!rows.empty()) return TokenizerOf(rows[0]);
    return NotFound(
        absl::StrCat(TokenizerName(name.name), name.digest.empty() ? "" : "@sha256:", name.digest));
  });
}

absl::StatusOr<Listed<TokenizerRevision>> PostgresArtifacts::ListTokenizers(std::string_view team,
                                                                            const Page& page) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) {
    return List<TokenizerRevision>(sql, kNewestTokenizers, kTokenizerByRevision, std::string(team),
                                   page, TokenizerOf);
  });
}

}  // namespace floe::registry
