#include "gateway/auth/postgres/key_repository.h"

#include <string>
#include <utility>

#include <pqxx/pqxx>

#include "base/status_macros.h"

namespace floe::gateway {
namespace {

// Times cross as whole microseconds, which is what timestamptz holds.
#define FLOE_KEY_COLUMNS                                                                           \
  "key_id, team, display_name, role, prefix, (extract(epoch FROM create_time) * 1000000)::bigint," \
  " (extract(epoch FROM revoke_time) * 1000000)::bigint"

constexpr char kInsert[] =
    "INSERT INTO gateway.keys (key_id, team, display_name, role, prefix, secret_sha256, request_id,"
    " create_time) VALUES ($1, $2, $3, $4, $5, $6, nullif($7, ''),"
    " 'epoch'::timestamptz + $8 * interval '1 microsecond')"
    " ON CONFLICT DO NOTHING RETURNING " FLOE_KEY_COLUMNS;
constexpr char kFindFirst[] = "SELECT " FLOE_KEY_COLUMNS
                              " FROM gateway.keys"
                              " WHERE (team = $1 AND request_id = $2) OR secret_sha256 = $3";
constexpr char kFindBySecret[] =
    "SELECT " FLOE_KEY_COLUMNS " FROM gateway.keys WHERE secret_sha256 = $1";
constexpr char kList[] = "SELECT " FLOE_KEY_COLUMNS
                         " FROM gateway.keys WHERE team = $1 AND ($2 = '' OR key_id < $2)"
                         " ORDER BY key_id DESC LIMIT $3";
constexpr char kRevoke[] =
    "UPDATE gateway.keys SET revoke_time ="
    " coalesce(revoke_time, 'epoch'::timestamptz + $3 * interval '1 microsecond')"
    " WHERE team = $1 AND key_id = $2 RETURNING " FLOE_KEY_COLUMNS;
#undef FLOE_KEY_COLUMNS

absl::StatusOr<Key> KeyFrom(const pqxx::row& row) {
  Key key;
  key.id = row[0].as<std::string>();
  key.team = row[1].as<std::string>();
  key.display_name = row[2].as<std::string>();
  FLOE_ASSIGN_OR_RETURN(key.role, ParseRole(row[3].as<std::string>()));
  key.prefix = row[4].as<std::string>();
  key.create_time = absl::FromUnixMicros(row[5].as<int64_t>());
  if (!row[6].is_null()) key.revoke_time = absl::FromUnixMicros(row[6].as<int64_t>());
  return key;
}

absl::StatusOr<std::optional<Key>> FirstOf(const pqxx::result& rows) {
  if (rows.empty()) return std::optional<Key>();
  FLOE_ASSIGN_OR_RETURN(Key key, KeyFrom(rows[0]));
  return std::optional<Key>(std::move(key));
}

class PostgresKeyStore final : public KeyStore {
 public:
  explicit PostgresKeyStore(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<Inserted> Insert(const NewKey& wanted) override {
    return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Inserted> {
      const Key& key = wanted.key;
      const auto made = sql.exec_params(
          kInsert, key.id, key.team, key.display_name, std::string(RoleName(key.role)), key.prefix,
          wanted.secret_hash, wanted.request_id, absl::ToUnixMicros(key.create_time));
      FLOE_ASSIGN_OR_RETURN(std::optional<Key> stored, FirstOf(made));
      if (stored) return Inserted{*std::move(stored), true};
      // The other transaction has committed by now: DO NOTHING waited for it.
      FLOE_ASSIGN_OR_RETURN(stored, FirstOf(sql.exec_params(kFindFirst, key.team, wanted.request_id,
                                                            wanted.secret_hash)));
      if (stored) return Inserted{*std::move(stored), false};
      return absl::InternalError("the new key's id is that of another key");
    });
  }

  absl::StatusOr<std::optional<Key>> FindBySecretHash(const std::string& hash) override {
    return pool_.Transaction(
        [&](pqxx::transaction_base& sql) { return FirstOf(sql.exec_params(kFindBySecret, hash)); });
  }

  absl::StatusOr<std::vector<Key>> List(const std::string& team, const std::string& before,
                                        int limit) override {
    return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<Key>> {
      std::vector<Key> keys;
      for (const auto& row : sql.exec_params(kList, team, before, limit)) {
        FLOE_ASSIGN_OR_RETURN(Key key, KeyFrom(row));
        keys.push_back(std::move(key));
      }
      return keys;
    });
  }

  absl::StatusOr<std::optional<Key>> Revoke(const std::string& team, const std::string& id,
                                            absl::Time now) override {
    return pool_.Transaction([&](pqxx::transaction_base& sql) {
      return FirstOf(sql.exec_params(kRevoke, team, id, absl::ToUnixMicros(now)));
    });
  }

 private:
  postgres::Pool& pool_;
};

}  // namespace

std::unique_ptr<KeyStore> MakePostgresKeyStore(postgres::Pool& pool) {
  return std::make_unique<PostgresKeyStore>(pool);
}

}  // namespace floe::gateway
