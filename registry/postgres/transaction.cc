#include "registry/postgres/internal/transaction.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/error_reason.h"
#include "registry/publish.h"

namespace floe::registry {
namespace {

constexpr char kLockRequest[] =
    "SELECT pg_advisory_xact_lock(hashtextextended("
    "'floe.registry.request.' || $1::text || '/' || $2::text || '/' || $3::text, 0))";
constexpr char kFindRequest[] =
    "SELECT answer, fingerprint FROM registry.requests "
    "WHERE team = $1 AND method = $2 AND request_id = $3";
constexpr char kRecordRequest[] =
    "INSERT INTO registry.requests (team, method, request_id, fingerprint, answer, create_time) "
    "VALUES ($1, $2, $3, $4, $5, $6)";
constexpr char kHoldBlob[] =
    "SELECT 1 FROM registry.blobs b WHERE b.digest = $1 AND b.damage_time IS NULL "
    "AND ($2 = '' OR EXISTS (SELECT 1 FROM registry.blob_links l "
    "WHERE l.digest = b.digest AND l.team = $2)) FOR KEY SHARE OF b";
constexpr char kLinkBlob[] =
    "INSERT INTO registry.blob_links (team, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING";

}  // namespace

std::string SqlTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

absl::Time TimeOf(const pqxx::field& microseconds) {
  return absl::FromUnixMicros(microseconds.as<int64_t>());
}

std::string SqlDouble(double value) { return absl::StrFormat("%.17g", value); }

double DoubleOf(const pqxx::field& value) {
  double number = 0;
  if (!absl::SimpleAtod(value.c_str(), &number)) throw pqxx::conversion_error("not a number");
  return number;
}

absl::StatusOr<std::optional<int64_t>> FirstAnswer(pqxx::transaction_base& sql,
                                                   const std::string& team,
                                                   const RequestKey& request) {
  if (request.id.empty()) return std::nullopt;
  sql.exec_params(kLockRequest, team, request.method, request.id);
  const auto rows = sql.exec_params(kFindRequest, team, request.method, request.id);
  if (rows.empty()) return std::nullopt;
  if (rows[0][1].as<std::string>() != request.fingerprint) {
    return WithReason(absl::InvalidArgumentError(absl::StrCat(
                          "request_id ", request.id, " was used for another ", request.method,
                          " before; give every new change an id of its own")),
                      "REQUEST_ID_REUSED");
  }
  return rows[0][0].as<int64_t>();
}

void RecordAnswer(pqxx::transaction_base& sql, const std::string& team, const RequestKey& request,
                  int64_t answer, absl::Time now) {
  if (request.id.empty()) return;
  sql.exec_params(kRecordRequest, team, request.method, request.id, request.fingerprint, answer,
                  SqlTime(now));
}

absl::Status HoldBlobs(pqxx::transaction_base& sql, const std::string& caller_team,
                       const std::string& team, const std::vector<VersionFile>& blobs) {
  std::vector<std::string> missing;
  for (const VersionFile& file : blobs) {
    if (sql.exec_params(kHoldBlob, file.blob.digest, caller_team).empty()) {
      missing.push_back(absl::StrCat("blob ", file.blob.digest, " (", file.name, ")"));
    } else {
      sql.exec_params(kLinkBlob, team, file.blob.digest);
    }
  }
  return missing.empty() ? absl::OkStatus() : BlobsMissing(missing);
}

absl::Status AnswerDeleted(const RequestKey& request) {
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          "request ", request.id, " was carried out, and what it made has been deleted since")),
      "RESOURCE_DELETED");
}

}  // namespace floe::registry
