#include "billing/training_cost.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"

namespace floe::billing {
namespace {

using Version = std::tuple<std::string, std::string, std::string>;  // team, model, version

constexpr int64_t kFarthestSeconds = int64_t{100} * 365 * 86400;

// remaining / contribution × the time it took so far, rounded up to a second; none when that is
// more than a hundred years away.
std::optional<absl::Time> Project(const TrainingCostRow& row, absl::Time first_use,
                                  absl::Time now) {
  const int64_t seconds = absl::ToInt64Seconds(now - first_use);
  if (row.contribution <= Money() || seconds <= 0) return std::nullopt;
  const auto product = Multiply(row.remaining, seconds);
  if (!product.ok()) return std::nullopt;
  const Int128 wait = (product->picos() + row.contribution.picos() - 1) / row.contribution.picos();
  if (wait > kFarthestSeconds) return std::nullopt;
  return now + absl::Seconds(static_cast<int64_t>(wait));
}

}  // namespace

absl::Status Validate(const TrainingCost& cost) {
  if (cost.team.empty() || cost.model.empty() || cost.model_version.empty()) {
    return absl::InvalidArgumentError("a training cost needs a team, a model and a model_version");
  }
  // As usage events name it: under any other name it would never meet what the version earns.
  FLOE_ASSIGN_OR_RETURN(const auto model, ParseResourceName(cost.model, {"teams", "models"}));
  if (model[0] != cost.team) {
    return absl::InvalidArgumentError(absl::StrCat("a training cost of team ", cost.team,
                                                   " is for a model of that team, not for ",
                                                   cost.model));
  }
  if (cost.amount <= Money()) {
    return absl::InvalidArgumentError("a training cost's amount must be above zero");
  }
  if (cost.days < 1 || cost.days > 36500) {
    return absl::InvalidArgumentError(
        absl::StrCat("amortization_days is ", cost.days, "; it must be 1 to 36500"));
  }
  return absl::OkStatus();
}

Posting TrainingPosting(const TrainingCost& cost) {
  return {TransactionKind::kTraining,
          cost.id,
          cost.start_time,
          absl::StrCat("capital/", cost.model, "@", cost.model_version),
          absl::StrCat("training_spend/", cost.team),
          cost.amount};
}

absl::StatusOr<Money> Amortized(const TrainingCost& cost, absl::Time now) {
  const int64_t passed =
      std::clamp<int64_t>((now - cost.start_time) / absl::Hours(24), 0, cost.days);
  FLOE_ASSIGN_OR_RETURN(const Money product, Multiply(cost.amount, passed));
  return Money::Picos(product.picos() / cost.days);
}

absl::StatusOr<std::vector<TrainingCostRow>> CompareTrainingCost(
    const std::vector<TrainingCost>& costs, const std::vector<VersionUse>& uses,
    const std::vector<JobUsageRow>& jobs, absl::Time now) {
  std::map<Version, TrainingCostRow> rows;
  for (const TrainingCost& cost : costs) {
    TrainingCostRow& row = rows[{cost.team, cost.model, cost.model_version}];
    row.team = cost.team;
    row.model = cost.model;
    row.model_version = cost.model_version;
    FLOE_ASSIGN_OR_RETURN(row.training_cost, Add(row.training_cost, cost.amount));
    FLOE_ASSIGN_OR_RETURN(const Money amortized, Amortized(cost, now));
    FLOE_ASSIGN_OR_RETURN(row.amortized, Add(row.amortized, amortized));
    row.remaining = row.training_cost;
  }
  for (const VersionUse& use : uses) {
    const auto found = rows.find({use.team, use.model, use.model_version});
    if (found == rows.end()) continue;
    TrainingCostRow& row = found->second;
    row.revenue = use.revenue;
    row.running_cost = use.cost;
    FLOE_ASSIGN_OR_RETURN(row.contribution, Subtract(use.revenue, use.cost));
    FLOE_ASSIGN_OR_RETURN(row.remaining, Subtract(row.training_cost, row.contribution));
    row.break_even_reached = row.remaining <= Money();
    if (!row.break_even_reached) row.break_even_time = Project(row, use.first_use, now);
  }
  for (auto& [version, row] : rows) {
    const std::string name = absl::StrCat(row.model, "/versions/", row.model_version);
    for (const JobUsageRow& job : jobs) {
      if (job.made == name) row.used += job.used;
    }
  }
  std::vector<TrainingCostRow> sorted;
  for (auto& [version, row] : rows) sorted.push_back(std::move(row));
  return sorted;
}

}  // namespace floe::billing
