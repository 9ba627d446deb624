// The changes of PostgresModels; what it reads stands in models.cc.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "registry/postgres/internal/evidence_rows.h"
#include "registry/postgres/internal/model_rows.h"
#include "registry/postgres/internal/transaction.h"
#include "registry/postgres/models.h"

namespace floe::registry {
namespace {

constexpr char kMakeModel[] =
    "INSERT INTO registry.models (team, model, create_time) VALUES ($1, $2, $3) "
    "ON CONFLICT (team, model) DO NOTHING";
// All changes of one model happen one after another.
constexpr char kLockModel[] =
    "SELECT id, next_version FROM registry.models WHERE team = $1 AND model = $2 FOR UPDATE";
constexpr char kTakeNumber[] =
    "UPDATE registry.models SET next_version = next_version + 1 WHERE id = $1";
constexpr char kSameManifest[] =
    "SELECT id FROM registry.model_versions WHERE model_id = $1 AND digest = $2";
// Holds off the deletion of a parent until its child is there to be seen.
constexpr char kHoldParents[] =
    "SELECT 1 FROM registry.model_versions v JOIN registry.models m ON m.id = v.model_id "
    "WHERE m.team = $1 AND v.digest = $2 FOR KEY SHARE OF v";
constexpr char kInsertVersion[] =
    "INSERT INTO registry.model_versions (model_id, version, digest, manifest, parent_digest, "
    "dataset_digest, tokenizer_digest, job, parameters, creator, create_time) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id";
constexpr char kInsertFile[] =
    "INSERT INTO registry.version_files (version_id, name, digest, size_bytes) "
    "VALUES ($1, $2, $3, $4)";
constexpr char kInsertMetric[] =
    "INSERT INTO registry.version_metrics (version_id, name, value) "
    "VALUES ($1, $2, $3::double precision)";
constexpr char kLockVersion[] =
    "SELECT id, digest FROM registry.model_versions WHERE model_id = $1 AND version = $2 "
    "FOR UPDATE";
constexpr char kShareVersion[] =
    "SELECT id, digest FROM registry.model_versions WHERE model_id = $1 AND version = $2 "
    "FOR KEY SHARE";
constexpr char kAliasesOf[] =
    "SELECT alias FROM registry.aliases WHERE version_id = $1 ORDER BY alias";
// Versions of the team that were made from this one, unless the team has it under another name too.
constexpr char kChildrenOf[] =
    "SELECT m.model, c.version FROM registry.model_versions c "
    "JOIN registry.models m ON m.id = c.model_id "
    "WHERE m.team = $1 AND c.parent_digest = $2 AND NOT EXISTS ("
    "SELECT 1 FROM registry.model_versions o JOIN registry.models n ON n.id = o.model_id "
    "WHERE n.team = $1 AND o.digest = $2 AND o.id <> $3) ORDER BY m.model, c.version LIMIT 20";
constexpr char kDeleteVersion[] = "DELETE FROM registry.model_versions WHERE id = $1";
constexpr char kFindAlias[] =
    "SELECT a.id, a.move_id, s.to_version, s.to_digest FROM registry.aliases a "
    "JOIN registry.alias_moves s ON s.id = a.move_id WHERE a.model_id = $1 AND a.alias = $2";
constexpr char kMakeAlias[] =
    "INSERT INTO registry.aliases (model_id, alias, version_id, move_id) VALUES ($1, $2, $3, 0) "
    "RETURNING id";
constexpr char kInsertMove[] =
    "INSERT INTO registry.alias_moves (alias_id, from_version, to_version, to_digest, actor, "
    "reason, time, overridden, failures) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
constexpr char kMoveAlias[] =
    "UPDATE registry.aliases SET version_id = $2, move_id = $3 WHERE id = $1";
constexpr char kAliasOfMove[] = "SELECT alias_id FROM registry.alias_moves WHERE id = $1";

int64_t InsertVersion(pqxx::transaction_base& sql, int64_t model, int64_t number,
                      const ModelVersion& v) {
  const auto id =
      sql.exec_params1(kInsertVersion, model, number, v.digest, v.manifest, v.lineage.parent_digest,
                       v.lineage.dataset_digest, v.lineage.tokenizer_digest, v.lineage.job,
                       v.parameters, v.creator, SqlTime(v.create_time))[0]
          .as<int64_t>();
  for (const VersionFile& file : v.files) {
    sql.exec_params(kInsertFile, id, file.name, file.blob.digest, file.blob.size_bytes);
  }
  for (const auto& [name, value] : v.metrics) {
    sql.exec_params(kInsertMetric, id, name, SqlDouble(value));
  }
  return id;
}

absl::StatusOr<ModelVersion> Answer(pqxx::transaction_base& sql, int64_t id,
                                    const RequestKey& request) {
  auto version = ReadVersion(sql, id);
  if (!version) return AnswerDeleted(request);
  return *std::move(version);
}

// What keeps a version from being deleted, as resource names.
std::vector<std::string> Users(pqxx::transaction_base& sql, const VersionName& name, int64_t id,
                               const std::string& digest) {
  std::vector<std::string> users;
  for (const auto& row : sql.exec_params(kAliasesOf, id)) {
    users.push_back(ToString(AliasName{name.model, row[0].as<std::string>()}));
  }
  for (const auto& row : sql.exec_params(kChildrenOf, name.model.team, digest, id)) {
    users.push_back(
        ToString(VersionName{{name.model.team, row[0].as<std::string>()}, row[1].as<int64_t>()}));
  }
  return users;
}

absl::Status InUse(const VersionName& name, const std::vector<std::string>& users) {
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          ToString(name), " is needed by ", absl::StrJoin(users, ", "),
          "; move the aliases to another version and delete the versions made from it first")),
      "VERSION_IN_USE", {{"users", absl::StrJoin(users, ",")}});
}

absl::Status Moved(const AliasName& name, const std::string& etag, const std::string& now) {
  return WithReason(
      absl::AbortedError(absl::StrCat(ToString(name), " has etag '", now, "', not '", etag,
                                      "': it has been moved since; read it again and decide anew")),
      "ETAG_MISMATCH", {{"etag", now}});
}

absl::Status Closed(const AliasName& name, const std::vector<std::string>& failures) {
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          ToString(name), " stays where it is, its gates refuse: ", absl::StrJoin(failures, "; "),
          ". Publish a better version, or override with a reason")),
      "GATE_CLOSED", {{"failures", absl::StrJoin(failures, "\n")}});
}

// An alias's move from one version (0: none) to another.
struct Move {
  int64_t model_id = 0;
  int64_t from = 0;
  std::string from_digest;
  std::string to_digest;
};

// What the model's gates say to the move, by the evidence of this transaction.
absl::StatusOr<std::vector<std::string>> Judge(pqxx::transaction_base& sql,
                                               const AliasChange& change, const Move& move) {
  FLOE_ASSIGN_OR_RETURN(const std::vector<Gate> gates, GatesOf(sql, move.model_id));
  if (gates.empty()) return std::vector<std::string>();
  const OwnedName& model = change.name.model;
  PromotionFacts facts;
  facts.alias = change.name.alias;
  facts.candidate = absl::StrCat(model.id, "@", change.version);
  facts.candidate_evidence = EvidenceOf(sql, model.team, move.to_digest, gates);
  if (move.from > 0) {
    facts.incumbent = absl::StrCat(model.id, "@", move.from);
    facts.incumbent_evidence = EvidenceOf(sql, model.team, move.from_digest, gates);
  }
  return FailingGates(gates, facts);
}

}  // namespace

absl::StatusOr<ModelVersion> PostgresModels::Publish(const RequestKey& request,
                                                     const ModelVersion& version) {
  const OwnedName& model = version.name.model;
  std::vector<VersionFile> blobs = version.files;
  blobs.push_back({"floe.json", {version.digest, 0}});
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<ModelVersion> {
    FLOE_ASSIGN_OR_RETURN(const auto first, FirstAnswer(sql, model.team, request));
    if (first) return Answer(sql, *first, request);
    sql.exec_params(kMakeModel, model.team, model.id, SqlTime(version.create_time));
    const auto row = sql.exec_params1(kLockModel, model.team, model.id);
    const auto model_id = row[0].as<int64_t>();
    const auto same = sql.exec_params(kSameManifest, model_id, version.digest);
    int64_t id = 0;
    if (!same.empty()) {
      id = same[0][0].as<int64_t>();
    } else {
      FLOE_RETURN_IF_ERROR(HoldBlobs(sql, request.caller_team, model.team, blobs));
      if (!version.lineage.parent_digest.empty()) {
        sql.exec_params(kHoldParents, model.team, version.lineage.parent_digest);
      }
      id = InsertVersion(sql, model_id, row[1].as<int64_t>(), version);
      sql.exec_params(kTakeNumber, model_id);
    }
    RecordAnswer(sql, model.team, request, id, version.create_time);
    return Answer(sql, id, request);
  });
}

absl::Status PostgresModels::DeleteVersion(const RequestKey& request, const VersionName& name,
                                           absl::Time now) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const auto first, FirstAnswer(sql, name.model.team, request));
    if (first) return absl::OkStatus();
    const auto model = sql.exec_params(kLockModel, name.model.team, name.model.id);
    if (model.empty()) return NotFound(ToString(name));
    const auto rows = sql.exec_params(kLockVersion, model[0][0].as<int64_t>(), name.version);
    if (rows.empty()) return NotFound(ToString(name));
    const auto id = rows[0][0].as<int64_t>();
    const auto users = Users(sql, name, id, rows[0][1].as<std::string>());
    if (!users.empty()) return InUse(name, users);
    sql.exec_params(kDeleteVersion, id);
    RecordAnswer(sql, name.model.team, request, id, now);
    return absl::OkStatus();
  });
}

absl::StatusOr<Alias> PostgresModels::SetAlias(const RequestKey& request,
                                               const AliasChange& change) {
  const OwnedName& model = change.name.model;
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Alias> {
    FLOE_ASSIGN_OR_RETURN(const auto first, FirstAnswer(sql, model.team, request));
    if (first) {
      const auto alias = sql.exec_params1(kAliasOfMove, *first)[0].as<int64_t>();
      return ReadAlias(sql, alias, *first);
    }
    const VersionName wanted{model, change.version};
    const auto locked = sql.exec_params(kLockModel, model.team, model.id);
    if (locked.empty()) return NotFound(ToString(wanted));
    const auto model_id = locked[0][0].as<int64_t>();
    const auto version = sql.exec_params(kShareVersion, model_id, change.version);
    if (version.empty()) return NotFound(ToString(wanted));
    const auto version_id = version[0][0].as<int64_t>();

    const auto present = sql.exec_params(kFindAlias, model_id, change.name.alias);
    int64_t move = present.empty() ? 0 : present[0][1].as<int64_t>();
    const std::string etag = present.empty() ? "" : EtagOf(move);
    if (!change.etag.empty() && change.etag != etag) return Moved(change.name, change.etag, etag);
    const auto from = present.empty() ? int64_t{0} : present[0][2].as<int64_t>();
    std::vector<std::string> failures;
    if (from != change.version) {
      FLOE_ASSIGN_OR_RETURN(failures,
                            Judge(sql, change,
                                  {model_id, from, from == 0 ? "" : present[0][3].as<std::string>(),
                                   version[0][1].as<std::string>()}));
      if (!failures.empty() && !change.override_gates) return Closed(change.name, failures);
    }
    const auto alias =
        present.empty()
            ? sql.exec_params1(kMakeAlias, model_id, change.name.alias, version_id)[0].as<int64_t>()
            : present[0][0].as<int64_t>();
    if (from != change.version) {
      move = sql.exec_params1(kInsertMove, alias, from, change.version,
                              version[0][1].as<std::string>(), change.actor, change.reason,
                              SqlTime(change.time), !failures.empty(),
                              absl::StrJoin(failures, "\n"))[0]
                 .as<int64_t>();
      sql.exec_params(kMoveAlias, alias, version_id, move);
    }
    RecordAnswer(sql, model.team, request, move, change.time);
    return ReadAlias(sql, alias, move);
  });
}

}  // namespace floe::registry
