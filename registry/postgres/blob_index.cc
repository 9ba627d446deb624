#include "registry/postgres/blob_index.h"

#include <string>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "registry/postgres/internal/transaction.h"

namespace floe::registry {
namespace {

constexpr char kFind[] =
    "SELECT b.size_bytes, b.damage_time IS NOT NULL FROM registry.blobs b WHERE b.digest = $1 "
    "AND ($2 = '' OR EXISTS (SELECT 1 FROM registry.blob_links l "
    "WHERE l.digest = b.digest AND l.team = $2))";
// Placing and forgetting one digest exclude each other, also while it has no row.
constexpr char kLockDigest[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('floe.registry.blob.' || $1::text, 0))";
constexpr char kAdd[] =
    "INSERT INTO registry.blobs (digest, size_bytes, create_time, touch_time) "
    "VALUES ($1, $2, $3, $3) ON CONFLICT (digest) DO UPDATE "
    "SET touch_time = GREATEST(registry.blobs.touch_time, EXCLUDED.touch_time), "
    "damage_time = NULL";
constexpr char kLink[] =
    "INSERT INTO registry.blob_links (team, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING";
constexpr char kDamage[] =
    "UPDATE registry.blobs SET damage_time = $2 WHERE digest = $1 AND damage_time IS NULL";
constexpr char kUnreferenced[] =
    "SELECT b.digest, b.size_bytes FROM registry.blobs b "
    "WHERE b.touch_time < $1 AND b.digest > $2 AND NOT EXISTS "
    "(SELECT 1 FROM registry.blob_references r WHERE r.digest = b.digest) "
    "ORDER BY b.digest LIMIT $3";
constexpr char kLockRow[] = "SELECT 1 FROM registry.blobs WHERE digest = $1 FOR UPDATE";
constexpr char kForget[] =
    "DELETE FROM registry.blobs b WHERE b.digest = $1 AND b.touch_time < $2 AND NOT EXISTS "
    "(SELECT 1 FROM registry.blob_references r WHERE r.digest = b.digest)";
constexpr char kForgetRequests[] = "DELETE FROM registry.requests WHERE create_time < $1";

}  // namespace

absl::StatusOr<BlobIndex::Entry> PostgresBlobIndex::Find(std::string_view team,
                                                         std::string_view digest) {
  const std::string hex(digest);
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Entry> {
    const auto rows = sql.exec_params(kFind, hex, std::string(team));
    if (rows.empty()) return NotFound(absl::StrCat("blob ", hex));
    return Entry{{hex, rows[0][0].as<int64_t>()}, rows[0][1].as<bool>()};
  });
}

absl::Status PostgresBlobIndex::Add(std::string_view team, const Blob& blob, absl::Time now,
                                    Action place) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    sql.exec_params(kLockDigest, blob.digest);
    sql.exec_params(kAdd, blob.digest, blob.size_bytes, SqlTime(now));
    if (!team.empty()) sql.exec_params(kLink, std::string(team), blob.digest);
    return place();
  });
}

absl::Status PostgresBlobIndex::MarkDamaged(std::string_view digest, absl::Time now) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    sql.exec_params(kDamage, std::string(digest), SqlTime(now));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<Blob>> PostgresBlobIndex::Unreferenced(absl::Time before,
                                                                  std::string_view after,
                                                                  int limit) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<Blob>> {
    std::vector<Blob> blobs;
    for (const auto& row :
         sql.exec_params(kUnreferenced, SqlTime(before), std::string(after), limit)) {
      blobs.push_back({row[0].as<std::string>(), row[1].as<int64_t>()});
    }
    return blobs;
  });
}

absl::StatusOr<bool> PostgresBlobIndex::Forget(std::string_view digest, absl::Time before,
                                               Action remove) {
  const std::string hex(digest);
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<bool> {
    sql.exec_params(kLockDigest, hex);
    // The row's lock first, so that the deletion sees what a publisher that held it has committed.
    const bool known = !sql.exec_params(kLockRow, hex).empty();
    if (known && sql.exec_params(kForget, hex, SqlTime(before)).affected_rows() == 0) return false;
    // Before the commit: afterwards somebody else might have placed the blob anew.
    FLOE_RETURN_IF_ERROR(remove());
    return true;
  });
}

absl::Status PostgresBlobIndex::ForgetRequests(absl::Time before) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::Status {
    sql.exec_params(kForgetRequests, SqlTime(before));
    return absl::OkStatus();
  });
}

}  // namespace floe::registry
