#include "billing/postgres/training_cost_store.h"

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/status_macros.h"
#include "billing/postgres/ledger_rows.h"
#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

#define FLOE_TRAINING_SELECT                                                            \
  "SELECT id, team, model, model_version, job, amount::text, "                          \
  "(extract(epoch FROM start_time) * 1000000)::bigint, days, description, fingerprint " \
  "FROM billing.training_cost "

constexpr char kInsert[] =
    "INSERT INTO billing.training_cost (id, team, model, model_version, job, amount, start_time,"
    " days, description, creator_team, request_id, fingerprint)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
constexpr char kByRequest[] = FLOE_TRAINING_SELECT "WHERE creator_team = $1 AND request_id = $2";
constexpr char kList[] = FLOE_TRAINING_SELECT
    "WHERE ($1 = '' OR team = $1) AND start_time <= $2::timestamptz ORDER BY id";
// Revenue is what was charged for the versions that have a cost; others are of no interest here.
constexpr char kUses[] =
    "SELECT team, model, model_version, sum(charge - credit)::text,"
    " sum((SELECT coalesce(sum(c), 0) FROM unnest(line_cost) c))::text,"
    " (extract(epoch FROM min(occurred_at)) * 1000000)::bigint FROM billing.usage_event u"
    " WHERE ($1 = '' OR team = $1) AND occurred_at <= $2::timestamptz AND EXISTS ("
    "   SELECT FROM billing.training_cost t WHERE t.team = u.team AND t.model = u.model"
    "   AND t.model_version = u.model_version) GROUP BY 1, 2, 3";

absl::StatusOr<TrainingCost> Read(const pqxx::row& row) {
  TrainingCost cost{.id = row[0].c_str(),
                    .team = row[1].c_str(),
                    .model = row[2].c_str(),
                    .model_version = row[3].c_str(),
                    .job = row[4].c_str(),
                    .start_time = TimeOf(row[6]),
                    .days = row[7].as<int>(),
                    .description = row[8].c_str()};
  FLOE_ASSIGN_OR_RETURN(cost.amount, MoneyOf(row[5]));
  return cost;
}

}  // namespace

absl::StatusOr<TrainingCost> PostgresTrainingCostStore::Insert(const TrainingCost& cost,
                                                               const RequestKey& request) {
  FLOE_RETURN_IF_ERROR(Validate(cost));
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<TrainingCost> {
    const auto inserted =
        sql.exec_params0(kInsert, cost.id, cost.team, cost.model, cost.model_version, cost.job,
                         cost.amount.ToString(), SqlTime(cost.start_time), cost.days,
                         cost.description, request.team, OrNull(request.id), request.fingerprint);
    if (inserted.affected_rows() == 0) {
      const auto first = sql.exec_params(kByRequest, request.team, OrNull(request.id));
      if (first.empty()) {
        return absl::AlreadyExistsError(absl::StrCat("training cost ", cost.id, " exists"));
      }
      FLOE_RETURN_IF_ERROR(
          CheckRepeat(request, first[0]["fingerprint"].c_str(), "CreateTrainingCost"));
      return Read(first[0]);
    }
    FLOE_RETURN_IF_ERROR(Post(sql, TrainingPosting(cost)).status());
    return cost;
  });
}

absl::StatusOr<std::vector<TrainingCost>> PostgresTrainingCostStore::List(std::string_view team,
                                                                          absl::Time until) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<TrainingCost>> {
        std::vector<TrainingCost> costs;
        for (const auto& row : sql.exec_params(kList, std::string(team), SqlTime(until))) {
          FLOE_ASSIGN_OR_RETURN(TrainingCost cost, Read(row));
          costs.push_back(std::move(cost));
        }
        return costs;
      });
}

absl::StatusOr<std::vector<VersionUse>> PostgresTrainingCostStore::Uses(std::string_view team,
                                                                        absl::Time until) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<VersionUse>> {
        std::vector<VersionUse> uses;
        for (const auto& row : sql.exec_params(kUses, std::string(team), SqlTime(until))) {
          VersionUse use{.team = row[0].c_str(),
                         .model = row[1].c_str(),
                         .model_version = row[2].c_str(),
                         .first_use = TimeOf(row[5])};
          FLOE_ASSIGN_OR_RETURN(use.revenue, MoneyOf(row[3]));
          FLOE_ASSIGN_OR_RETURN(use.cost, MoneyOf(row[4]));
          uses.push_back(std::move(use));
        }
        return uses;
      });
}

}  // namespace floe::billing
