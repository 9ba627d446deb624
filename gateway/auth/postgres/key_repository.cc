#include "gateway/auth/postgres/key_repository.h"

#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include <pqxx/pqxx>

#include "base/status_macros.h"

namespace floe::gateway {
namespace {

// Times cross as whole microseconds, which is what timestamptz holds; lists with commas, which no
// pattern and no tier has.
#define FLOE_KEY_COLUMNS                                                                           \
  "key_id, team, display_name, role, prefix, (extract(epoch FROM create_time) * 1000000)::bigint," \
  " (extract(epoch FROM revoke_time) * 1000000)::bigint,"                                          \
  " (extract(epoch FROM expire_time) * 1000000)::bigint,"                                          \
  " array_to_string(models, ','), array_to_string(tiers, ','),"                                    \
  " (SELECT tenant FROM gateway.teams WHERE teams.team = keys.team)"

constexpr char kPlaceTeam[] =
    "INSERT INTO gateway.teams (team, tenant) VALUES ($1, $2) ON CONFLICT DO NOTHING";
constexpr char kTenantOf[] = "SELECT tenant FROM gateway.teams WHERE team = $1";
constexpr char kInsert[] =
    "INSERT INTO gateway.keys (key_id, team, display_name, role, prefix, secret_sha256, request_id,"
    " create_time, expire_time, models, tiers) VALUES ($1, $2, $3, $4, $5, $6, nullif($7, ''),"
    " 'epoch'::timestamptz + $8 * interval '1 microsecond',"
    " 'epoch'::timestamptz + $9 * interval '1 microsecond',"
    " string_to_array($10, ','), string_to_array($11, ','))"
    " ON CONFLICT DO NOTHING RETURNING " FLOE_KEY_COLUMNS;
constexpr char kFindFirst[] = "SELECT " FLOE_KEY_COLUMNS
                              " FROM gateway.keys"
                              " WHERE (team = $1 AND request_id = $2) OR secret_sha256 = $3";
constexpr char kFindBySecret[] =
    "SELECT " FLOE_KEY_COLUMNS " FROM gateway.keys WHERE secret_sha256 = $1";
constexpr char kFind[] =
    "SELECT " FLOE_KEY_COLUMNS " FROM gateway.keys WHERE team = $1 AND key_id = $2";
constexpr char kList[] = "SELECT " FLOE_KEY_COLUMNS
                         " FROM gateway.keys WHERE team = $1 AND ($2 = '' OR key_id < $2)"
                         " ORDER BY key_id DESC LIMIT $3";
constexpr char kRevoke[] =
    "UPDATE gateway.keys SET revoke_time ="
    " coalesce(revoke_time, 'epoch'::timestamptz + $3 * interval '1 microsecond')"
    " WHERE team = $1 AND key_id = $2 RETURNING " FLOE_KEY_COLUMNS;
#undef FLOE_KEY_COLUMNS

std::vector<std::string> ListFrom(const pqxx::field& field) {
  return absl::StrSplit(field.c_str(), ',', absl::SkipEmpty());
}

absl::StatusOr<Key> KeyFrom(const pqxx::row& row) {
  Key key;
  key.id = row[0].as<std::string>();
  key.team = row[1].as<std::string>();
  key.display_name = row[2].as<std::string>();
  FLOE_ASSIGN_OR_RETURN(key.role, ParseRole(row[3].as<std::string>()));
  key.prefix = row[4].as<std::string>();
  key.create_time = absl::FromUnixMicros(row[5].as<int64_t>());
  if (!row[6].is_null()) key.revoke_time = absl::FromUnixMicros(row[6].as<int64_t>());
  if (!row[7].is_null()) key.expire_time = absl::FromUnixMicros(row[7].as<int64_t>());
  key.models = ListFrom(row[8]);
  key.tiers = ListFrom(row[9]);
  key.tenant = row[10].as<std::string>();
  return key;
}

absl::StatusOr<std::optional<Key>> FirstOf(const pqxx::result& rows) {
  if (rows.empty()) return std::optional<Key>();
  FLOE_ASSIGN_OR_RETURN(Key key, KeyFrom(rows[0]));
  return std::optional<Key>(std::move(key));
}

// The team is known from here on, and of the tenant that is wanted, if one is.
absl::Status PlaceTeam(pqxx::transaction_base& sql, const std::string& team,
                       const std::string& wanted) {
  sql.exec_params0(kPlaceTeam, team, wanted.empty() ? kDefaultTenant : wanted);
  const auto tenant = sql.exec_params1(kTenantOf, team)[0].as<std::string>();
  if (wanted.empty() || wanted == tenant) return absl::OkStatus();
  return OtherTenant(team, tenant, wanted);
}

class PostgresKeyStore final : public KeyStore {
 public:
  explicit PostgresKeyStore(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<Inserted> Insert(const NewKey& wanted) override {
    return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Inserted> {
      const Key& key = wanted.key;
      FLOE_RETURN_IF_ERROR(PlaceTeam(sql, key.team, key.tenant));
      std::optional<int64_t> expires;
      if (key.expire_time) expires = absl::ToUnixMicros(*key.expire_time);
      const auto made = sql.exec_params(
          kInsert, key.id, key.team, key.display_name, std::string(RoleName(key.role)), key.prefix,
          wanted.secret_hash, wanted.request_id, absl::ToUnixMicros(key.create_time), expires,
          absl::StrJoin(key.models, ","), absl::StrJoin(key.tiers, ","));
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

  absl::StatusOr<std::optional<Key>> Find(const std::string& team, const std::string& id) override {
    return pool_.Transaction(
        [&](pqxx::transaction_base& sql) { return FirstOf(sql.exec_params(kFind, team, id)); });
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
