#include "registry/postgres/models.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "registry/postgres/internal/model_rows.h"
#include "registry/postgres/internal/transaction.h"

namespace floe::registry {
namespace {

constexpr char kModel[] = "SELECT * FROM registry.model_details WHERE team = $1 AND model = $2";
constexpr char kModels[] =
    "SELECT * FROM registry.model_details WHERE team = $1 AND model > $2 ORDER BY model LIMIT $3";
constexpr char kVersionId[] =
    "SELECT v.id FROM registry.model_versions v JOIN registry.models m ON m.id = v.model_id "
    "WHERE m.team = $1 AND m.model = $2 AND v.version = $3";
constexpr char kVersionIds[] =
    "SELECT v.id FROM registry.model_versions v JOIN registry.models m ON m.id = v.model_id "
    "WHERE m.team = $1 AND m.model = $2 AND ($3 = 0 OR v.version < $3) "
    "ORDER BY v.version DESC LIMIT $4";
constexpr char kVersionIdByAlias[] =
    "SELECT a.version_id FROM registry.aliases a JOIN registry.models m ON m.id = a.model_id "
    "WHERE m.team = $1 AND m.model = $2 AND a.alias = $3";
constexpr char kVersionIdByDigest[] =
    "SELECT v.id FROM registry.model_versions v JOIN registry.models m ON m.id = v.model_id "
    "WHERE m.team = $1 AND ($2 = '' OR m.model = $2) AND v.digest = $3 ORDER BY v.id LIMIT 1";
constexpr char kAliasIds[] =
    "SELECT a.id, a.move_id FROM registry.aliases a JOIN registry.models m ON m.id = a.model_id "
    "WHERE m.team = $1 AND m.model = $2 AND a.alias = $3";

constexpr char kLatestVersionId[] =
    "SELECT v.id FROM registry.model_versions v JOIN registry.models m ON m.id = v.model_id "
    "WHERE m.team = $1 AND m.model = $2 ORDER BY v.version DESC LIMIT 1";

struct FindVersion {
  pqxx::transaction_base& sql;
  const std::string& team;

  pqxx::result operator()(const AliasReference& r) const {
    return sql.exec_params(kVersionIdByAlias, team, r.model, r.alias);
  }
  pqxx::result operator()(const VersionReference& r) const {
    return sql.exec_params(kVersionId, team, r.model, r.version);
  }
  pqxx::result operator()(const LatestReference& r) const {
    return sql.exec_params(kLatestVersionId, team, r.model);
  }
  pqxx::result operator()(const DigestReference& r) const {
    return sql.exec_params(kVersionIdByDigest, team, r.model, r.digest);
  }
};

std::string Described(const std::string& team, const Reference& reference) {
  if (const auto* r = std::get_if<AliasReference>(&reference)) {
    return ToString(AliasName{{team, r->model}, r->alias});
  }
  if (const auto* r = std::get_if<VersionReference>(&reference)) {
    return ToString(VersionName{{team, r->model}, r->version});
  }
  if (const auto* r = std::get_if<LatestReference>(&reference)) {
    return absl::StrCat("version of ", ModelName({team, r->model}));
  }
  const auto& r = std::get<DigestReference>(reference);
  return absl::StrCat("version with digest ", r.digest, " of ",
                      r.model.empty() ? absl::StrCat("teams/", team) : ModelName({team, r.model}));
}

}  // namespace

absl::StatusOr<Model> PostgresModels::GetModel(const OwnedName& name) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Model> {
    const auto rows = sql.exec_params(kModel, name.team, name.id);
    if (rows.empty()) return NotFound(ModelName(name));
    return ReadModel(sql, rows[0]);
  });
}

absl::StatusOr<Listed<Model>> PostgresModels::ListModels(std::string_view team, const Page& page) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Listed<Model>> {
    Listed<Model> listed;
    for (const auto& row : sql.exec_params(kModels, std::string(team), page.after, page.size + 1)) {
      if (static_cast<int>(listed.items.size()) == page.size) {
        listed.next = listed.items.back().name.id;
        break;
      }
      listed.items.push_back(ReadModel(sql, row));
    }
    return listed;
  });
}

absl::StatusOr<ModelVersion> PostgresModels::GetVersion(const VersionName& name) {
  return Resolve(name.model.team, VersionReference{name.model.id, name.version});
}

absl::StatusOr<Listed<ModelVersion>> PostgresModels::ListVersions(const OwnedName& model,
                                                                  const Page& page) {
  int64_t below = 0;
  if (!page.after.empty() && !absl::SimpleAtoi(page.after, &below)) {
    return absl::InvalidArgumentError("page_token is not one of a list of versions");
  }
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<Listed<ModelVersion>> {
        if (sql.exec_params(kModel, model.team, model.id).empty()) {
          return NotFound(ModelName(model));
        }
        Listed<ModelVersion> listed;
        for (const auto& row :
             sql.exec_params(kVersionIds, model.team, model.id, below, page.size + 1)) {
          if (static_cast<int>(listed.items.size()) == page.size) {
            listed.next = absl::StrCat(listed.items.back().name.version);
            break;
          }
          // One that was deleted since the list was read is no longer part of it.
          if (auto version = ReadVersion(sql, row[0].as<int64_t>())) {
            listed.items.push_back(*std::move(version));
          }
        }
        return listed;
      },
      postgres::Isolation::kRepeatableRead);
}

absl::StatusOr<ModelVersion> PostgresModels::Resolve(std::string_view team,
                                                     const Reference& reference) {
  const std::string owner(team);
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<ModelVersion> {
        const pqxx::result ids = std::visit(FindVersion{sql, owner}, reference);
        if (ids.empty()) return NotFound(Described(owner, reference));
        auto version = ReadVersion(sql, ids[0][0].as<int64_t>());
        if (!version) return NotFound(Described(owner, reference));
        return *std::move(version);
      },
      postgres::Isolation::kRepeatableRead);
}

absl::StatusOr<Alias> PostgresModels::GetAlias(const AliasName& name) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Alias> {
    const auto ids = sql.exec_params(kAliasIds, name.model.team, name.model.id, name.alias);
    if (ids.empty()) return NotFound(ToString(name));
    return ReadAlias(sql, ids[0][0].as<int64_t>(), ids[0][1].as<int64_t>());
  });
}

}  // namespace floe::registry
