#include "registry/postgres/evidence.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "registry/postgres/internal/evidence_rows.h"
#include "registry/postgres/internal/transaction.h"

namespace floe::registry {
namespace {

constexpr char kById[] = "SELECT * FROM registry.evaluation_details WHERE id = $1";
constexpr char kByName[] =
    "SELECT * FROM registry.evaluation_details WHERE team = $1 AND evaluation = $2";
constexpr char kList[] =
    "SELECT * FROM registry.evaluation_details WHERE team = $1 AND ($2 = '' OR model_digest = $2) "
    "AND ($3 = '' OR dataset_digest = $3) AND ($4 = 0 OR id < $4) ORDER BY id DESC LIMIT $5";
constexpr char kEvidenceOf[] =
    "SELECT * FROM registry.evaluation_details WHERE team = $1 AND model_digest = $2 "
    "AND dataset_digest = $3 ORDER BY id DESC";
constexpr char kMetrics[] =
    "SELECT name, value::text FROM registry.evaluation_metrics WHERE evaluation_id = $1";
constexpr char kInsert[] =
    "INSERT INTO registry.evaluations (team, evaluation, model_digest, tokenizer_digest, "
    "template_digest, dataset_digest, task, examples, tokens, job, creator, create_time, report) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
    "ON CONFLICT (team, evaluation) DO NOTHING RETURNING id";
constexpr char kInsertMetric[] =
    "INSERT INTO registry.evaluation_metrics (evaluation_id, name, value) "
    "VALUES ($1, $2, $3::double precision)";

constexpr char kLockModel[] =
    "SELECT id FROM registry.models WHERE team = $1 AND model = $2 FOR UPDATE";
constexpr char kModelId[] = "SELECT id FROM registry.models WHERE team = $1 AND model = $2";
constexpr char kPolicy[] =
    "SELECT policy, gates, updater, (extract(epoch FROM update_time) * 1000000)::bigint AS micros "
    "FROM registry.gate_policies WHERE model_id = $1";
constexpr char kSetPolicy[] =
    "INSERT INTO registry.gate_policies (model_id, policy, gates, updater, update_time) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (model_id) DO UPDATE SET policy = $2, gates = $3, "
    "updater = $4, update_time = $5";
constexpr char kDropPolicy[] = "DELETE FROM registry.gate_policies WHERE model_id = $1";

absl::StatusOr<std::vector<Gate>> ReadGates(const std::string& json) {
  auto gates = ParseGates(json);
  if (gates.ok()) return gates;
  return absl::DataLossError(
      absl::StrCat("the stored gates cannot be read: ", gates.status().message()));
}

absl::StatusOr<GatePolicy> ReadPolicy(pqxx::transaction_base& sql, const OwnedName& model,
                                      int64_t model_id) {
  GatePolicy policy{.model = model};
  const auto rows = sql.exec_params(kPolicy, model_id);
  if (rows.empty()) return policy;
  policy.text = rows[0]["policy"].as<std::string>();
  FLOE_ASSIGN_OR_RETURN(policy.gates, ReadGates(rows[0]["gates"].as<std::string>()));
  policy.updater = rows[0]["updater"].as<std::string>();
  policy.update_time = TimeOf(rows[0]["micros"]);
  return policy;
}

}  // namespace

Evaluation ReadEvaluation(pqxx::transaction_base& sql, const pqxx::row& row) {
  Evaluation evaluation;
  evaluation.team = row["team"].as<std::string>();
  evaluation.id = row["evaluation"].as<std::string>();
  evaluation.model_digest = row["model_digest"].as<std::string>();
  evaluation.tokenizer_digest = row["tokenizer_digest"].as<std::string>();
  evaluation.template_digest = row["template_digest"].as<std::string>();
  evaluation.dataset_digest = row["dataset_digest"].as<std::string>();
  evaluation.task = row["task"].as<std::string>();
  evaluation.examples = row["examples"].as<int64_t>();
  evaluation.tokens = row["tokens"].as<int64_t>();
  evaluation.job = row["job"].as<std::string>();
  evaluation.creator = row["creator"].as<std::string>();
  evaluation.report = row["report"].as<std::string>();
  evaluation.create_time = TimeOf(row["create_micros"]);
  const auto version = row["version"].as<std::string>();
  const size_t slash = version.find('/');
  int64_t number = 0;
  if (slash != std::string::npos && absl::SimpleAtoi(version.substr(slash + 1), &number)) {
    evaluation.model_version =
        ToString(VersionName{{evaluation.team, version.substr(0, slash)}, number});
  }
  const auto dataset = row["dataset"].as<std::string>();
  if (!dataset.empty()) evaluation.dataset = DatasetName({evaluation.team, dataset});
  for (const auto& metric : sql.exec_params(kMetrics, row["id"].as<int64_t>())) {
    evaluation.metrics[metric[0].as<std::string>()] = DoubleOf(metric[1]);
  }
  return evaluation;
}

std::vector<Evaluation> EvidenceOf(pqxx::transaction_base& sql, const std::string& team,
                                   const std::string& model_digest,
                                   const std::vector<Gate>& gates) {
  std::vector<std::string> datasets;
  for (const Gate& gate : gates) datasets.push_back(gate.dataset_digest());
  std::sort(datasets.begin(), datasets.end());
  datasets.erase(std::unique(datasets.begin(), datasets.end()), datasets.end());
  std::vector<Evaluation> evidence;
  for (const std::string& dataset : datasets) {
    for (const auto& row : sql.exec_params(kEvidenceOf, team, model_digest, dataset)) {
      evidence.push_back(ReadEvaluation(sql, row));
    }
  }
  return evidence;
}

absl::StatusOr<std::vector<Gate>> GatesOf(pqxx::transaction_base& sql, int64_t model_id) {
  const auto rows = sql.exec_params(kPolicy, model_id);
  if (rows.empty()) return std::vector<Gate>();
  return ReadGates(rows[0]["gates"].as<std::string>());
}

absl::StatusOr<Evaluation> PostgresEvaluations::Create(const RequestKey& request,
                                                       const Evaluation& e) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Evaluation> {
    FLOE_ASSIGN_OR_RETURN(const auto first, FirstAnswer(sql, e.team, request));
    if (first) return ReadEvaluation(sql, sql.exec_params1(kById, *first));
    const auto inserted =
        sql.exec_params(kInsert, e.team, e.id, e.model_digest, e.tokenizer_digest,
                        e.template_digest, e.dataset_digest, e.task, e.examples, e.tokens, e.job,
                        e.creator, SqlTime(e.create_time), e.report);
    if (!inserted.empty()) {
      for (const auto& [name, value] : e.metrics) {
        sql.exec_params(kInsertMetric, inserted[0][0].as<int64_t>(), name, SqlDouble(value));
      }
    }
    const auto row = sql.exec_params1(kByName, e.team, e.id);
    RecordAnswer(sql, e.team, request, row["id"].as<int64_t>(), e.create_time);
    return ReadEvaluation(sql, row);
  });
}

absl::StatusOr<Evaluation> PostgresEvaluations::Get(std::string_view team, std::string_view id) {
  const OwnedName name{std::string(team), std::string(id)};
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Evaluation> {
    const auto rows = sql.exec_params(kByName, name.team, name.id);
    if (rows.empty()) return NotFound(EvaluationName(name));
    return ReadEvaluation(sql, rows[0]);
  });
}

absl::StatusOr<Listed<Evaluation>> PostgresEvaluations::List(std::string_view team,
                                                             std::string_view model_digest,
                                                             std::string_view dataset_digest,
                                                             const Page& page) {
  int64_t below = 0;
  if (!page.after.empty() && !absl::SimpleAtoi(page.after, &below)) {
    return absl::InvalidArgumentError("page_token is not one of a list of evaluations");
  }
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Listed<Evaluation>> {
    Listed<Evaluation> listed;
    int64_t last = 0;
    for (const auto& row : sql.exec_params(kList, std::string(team), std::string(model_digest),
                                           std::string(dataset_digest), below, page.size + 1)) {
      if (static_cast<int>(listed.items.size()) == page.size) {
        listed.next = absl::StrCat(last);
        break;
      }
      last = row["id"].as<int64_t>();
      listed.items.push_back(ReadEvaluation(sql, row));
    }
    return listed;
  });
}

absl::StatusOr<GatePolicy> PostgresGates::Set(const RequestKey& request, const GatePolicy& policy) {
  const OwnedName& model = policy.model;
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<GatePolicy> {
    FLOE_ASSIGN_OR_RETURN(const auto first, FirstAnswer(sql, model.team, request));
    if (first) return ReadPolicy(sql, model, *first);
    const auto locked = sql.exec_params(kLockModel, model.team, model.id);
    if (locked.empty()) return NotFound(ModelName(model));
    const auto model_id = locked[0][0].as<int64_t>();
    if (policy.text.empty()) {
      sql.exec_params(kDropPolicy, model_id);
    } else {
      sql.exec_params(kSetPolicy, model_id, policy.text, GatesJson(policy.gates), policy.updater,
                      SqlTime(policy.update_time));
    }
    RecordAnswer(sql, model.team, request, model_id, policy.update_time);
    return ReadPolicy(sql, model, model_id);
  });
}

absl::StatusOr<GatePolicy> PostgresGates::Get(const OwnedName& model) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<GatePolicy> {
    const auto rows = sql.exec_params(kModelId, model.team, model.id);
    if (rows.empty()) return NotFound(ModelName(model));
    FLOE_ASSIGN_OR_RETURN(GatePolicy policy, ReadPolicy(sql, model, rows[0][0].as<int64_t>()));
    if (policy.text.empty()) return NotFound(GatePolicyName(model));
    return policy;
  });
}

}  // namespace floe::registry
