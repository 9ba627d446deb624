#include "registry/postgres/internal/model_rows.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "registry/postgres/internal/transaction.h"

namespace floe::registry {
namespace {

constexpr char kVersion[] = "SELECT * FROM registry.version_details WHERE id = $1";
constexpr char kFiles[] =
    "SELECT name, digest, size_bytes FROM registry.version_files WHERE version_id = $1 "
    "ORDER BY name";
constexpr char kMetrics[] =
    "SELECT name, value::text FROM registry.version_metrics WHERE version_id = $1";
constexpr char kAliasesOfVersion[] =
    "SELECT alias FROM registry.aliases WHERE version_id = $1 ORDER BY alias";
constexpr char kMoves[] =
    "SELECT * FROM registry.alias_move_details WHERE alias_id = $1 AND id <= $2 ORDER BY id DESC";
constexpr char kAliasesOfModel[] =
    "SELECT s.* FROM registry.aliases a JOIN registry.alias_move_details s ON s.id = a.move_id "
    "WHERE a.model_id = $1 ORDER BY a.alias";

AliasMove MoveOf(const pqxx::row& row) {
  AliasMove move;
  move.from_version = row["from_version"].as<int64_t>();
  move.to_version = row["to_version"].as<int64_t>();
  move.actor = row["actor"].as<std::string>();
  move.reason = row["reason"].as<std::string>();
  move.time = TimeOf(row["micros"]);
  move.overridden = row["overridden"].as<bool>();
  const auto failures = row["failures"].as<std::string>();
  if (!failures.empty()) move.failures = absl::StrSplit(failures, '\n');
  return move;
}

// As the move `row` left it.
Alias AliasAfter(const pqxx::row& row) {
  Alias alias;
  alias.name.model = {row["team"].as<std::string>(), row["model"].as<std::string>()};
  alias.name.alias = row["alias"].as<std::string>();
  alias.version = row["to_version"].as<int64_t>();
  alias.digest = row["to_digest"].as<std::string>();
  alias.etag = EtagOf(row["id"].as<int64_t>());
  alias.update_time = TimeOf(row["micros"]);
  return alias;
}

}  // namespace

std::string EtagOf(int64_t move_id) { return absl::StrCat("move-", move_id); }

std::optional<ModelVersion> ReadVersion(pqxx::transaction_base& sql, int64_t id) {
  const auto rows = sql.exec_params(kVersion, id);
  if (rows.empty()) return std::nullopt;
  const pqxx::row row = rows[0];
  ModelVersion version;
  version.name.model = {row["team"].as<std::string>(), row["model"].as<std::string>()};
  version.name.version = row["version"].as<int64_t>();
  version.digest = row["digest"].as<std::string>();
  version.manifest = row["manifest"].as<std::string>();
  version.lineage.parent_digest = row["parent_digest"].as<std::string>();
  version.lineage.dataset_digest = row["dataset_digest"].as<std::string>();
  version.lineage.tokenizer_digest = row["tokenizer_digest"].as<std::string>();
  version.lineage.job = row["job"].as<std::string>();
  const std::string& team = version.name.model.team;
  const auto dataset = row["dataset"].as<std::string>();
  if (!dataset.empty()) version.lineage.dataset = DatasetName({team, dataset});
  const auto tokenizer = row["tokenizer"].as<std::string>();
  if (!tokenizer.empty()) version.lineage.tokenizer = TokenizerName({team, tokenizer});
  version.parameters = row["parameters"].as<int64_t>();
  version.creator = row["creator"].as<std::string>();
  version.create_time = TimeOf(row["create_micros"]);
  for (const auto& file : sql.exec_params(kFiles, id)) {
    version.files.push_back(
        {file[0].as<std::string>(), {file[1].as<std::string>(), file[2].as<int64_t>()}});
  }
  for (const auto& metric : sql.exec_params(kMetrics, id)) {
    version.metrics[metric[0].as<std::string>()] = DoubleOf(metric[1]);
  }
  for (const auto& alias : sql.exec_params(kAliasesOfVersion, id)) {
    version.aliases.push_back(alias[0].as<std::string>());
  }
  return version;
}

Alias ReadAlias(pqxx::transaction_base& sql, int64_t alias_id, int64_t move_id) {
  const auto moves = sql.exec_params(kMoves, alias_id, move_id);
  Alias alias = AliasAfter(moves.at(0));
  for (const auto& move : moves) alias.history.push_back(MoveOf(move));
  return alias;
}

Model ReadModel(pqxx::transaction_base& sql, const pqxx::row& row) {
  Model model;
  model.name = {row["team"].as<std::string>(), row["model"].as<std::string>()};
  model.create_time = TimeOf(row["create_micros"]);
  model.version_count = row["version_count"].as<int64_t>();
  model.latest_version = row["latest_version"].as<int64_t>();
  for (const auto& alias : sql.exec_params(kAliasesOfModel, row["id"].as<int64_t>())) {
    model.aliases.push_back(AliasAfter(alias));
  }
  return model;
}

}  // namespace floe::registry
