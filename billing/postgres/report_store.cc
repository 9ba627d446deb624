#include "billing/postgres/report_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "billing/postgres/sql_values.h"
#include "billing/postgres/usage_rows.h"

namespace floe::billing {
namespace {

// Columns that are not asked for are '' in every row, so that one statement serves every grouping.
// $1 group_by, $2 $3 interval, $4 the tag's key, $5 whether lines are counted as requests, $6 to
// $16 filters, $17 limit, $18 offset.
constexpr char kQuery[] =
    "SELECT"
    " CASE WHEN 'tenant' = ANY ($1::text[]) THEN tenant ELSE '' END,"
    " CASE WHEN 'team' = ANY ($1::text[]) THEN team ELSE '' END,"
    " CASE WHEN 'key' = ANY ($1::text[]) THEN key_id ELSE '' END,"
    " CASE WHEN 'model' = ANY ($1::text[]) THEN model ELSE '' END,"
    " CASE WHEN 'version' = ANY ($1::text[]) THEN model_version ELSE '' END,"
    " CASE WHEN 'tier' = ANY ($1::text[]) THEN tier ELSE '' END,"
    " CASE WHEN 'day' = ANY ($1::text[])"
    "   THEN to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') ELSE '' END,"
    " CASE WHEN 'operation' = ANY ($1::text[]) THEN operation ELSE '' END,"
    " CASE WHEN 'workflow' = ANY ($1::text[]) THEN workflow_id ELSE '' END,"
    " CASE WHEN 'token_kind' = ANY ($1::text[]) THEN kind ELSE '' END,"
    " CASE WHEN 'tag:' || $4::text = ANY ($1::text[]) THEN coalesce(tags ->> $4::text, '')"
    "   ELSE '' END,"
    " CASE WHEN $5::boolean THEN count(*) ELSE count(*) FILTER (WHERE ord = 1) END,"
    " CASE WHEN $5::boolean THEN count(*) FILTER (WHERE cache_hit)"
    "   ELSE count(*) FILTER (WHERE ord = 1 AND cache_hit) END,"
    " coalesce(sum(quantity) FILTER (WHERE kind = 'input'), 0),"
    " coalesce(sum(quantity) FILTER (WHERE kind = 'cached_input'), 0),"
    " coalesce(sum(quantity) FILTER (WHERE kind IN ('output', 'cached_output')), 0),"
    " coalesce(sum(quantity) FILTER (WHERE kind = 'call'), 0),"
    " coalesce(sum(amount) FILTER (WHERE kind <> 'tier_credit'), 0)::text,"
    " (-coalesce(sum(amount) FILTER (WHERE kind = 'tier_credit'), 0))::text,"
    " coalesce(sum(amount), 0)::text"
    " FROM billing.usage_line"
    " WHERE occurred_at >= $2::timestamptz AND occurred_at < $3::timestamptz"
    " AND ($6::text IS NULL OR tenant = $6) AND ($7::text IS NULL OR team = $7)"
    " AND ($8::text IS NULL OR key_id = $8) AND ($9::text IS NULL OR model = $9)"
    " AND ($10::text IS NULL OR model_version = $10) AND ($11::text IS NULL OR tier = $11)"
    " AND ($12::text IS NULL"
    "   OR to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') = $12)"
    " AND ($13::text IS NULL OR operation = $13) AND ($14::text IS NULL OR workflow_id = $14)"
    " AND ($15::text IS NULL OR kind = $15)"
    " AND ($16::text IS NULL OR coalesce(tags ->> $4::text, '') = $16)"
    " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    " LIMIT $17 OFFSET $18";
constexpr size_t kGroups = kDimensions.size() + 1;

constexpr char kExplain[] = "SELECT " FLOE_USAGE_SELECT
                            ", transaction_id, coalesce(credit_transaction_id, 0) AS credit_id"
                            " FROM billing.usage_event"
                            " WHERE usage_id = $1 AND ($2 = '' OR team = $2)";
constexpr char kExplainParked[] =
    "SELECT " FLOE_USAGE_SELECT
    ", reason FROM billing.parked_usage WHERE usage_id = $1 AND ($2 = '' OR team = $2)";
constexpr char kEntries[] =
    "SELECT transaction_id, kind, account, amount::text FROM billing.ledger_entry"
    " WHERE transaction_id IN ($1, $2) ORDER BY transaction_id, line";
constexpr char kAttempts[] =
    "SELECT attempt_id, worker, checkpoint_digest,"
    " (extract(epoch FROM started_at) * 1000000)::bigint, prompt_tokens, prefix_cached_tokens,"
    " computed_tokens, sent_tokens, outcome, model_tokens, queue_us, prefill_us, decode_us,"
    " kv_block_us, chain, sequence, previous_digest, digest FROM billing.worker_attempt"
    " WHERE usage_id = $1 ORDER BY started_at, attempt_id LIMIT 1000";
constexpr char kSteps[] =
    "SELECT " FLOE_USAGE_SELECT
    " FROM billing.usage_event WHERE team = $1 AND workflow_id = $2 ORDER BY occurred_at LIMIT $3";
constexpr int kMaxSteps = 10'000;

ReportRow ReadReportRow(const pqxx::row& row, const std::vector<std::string>& group_by) {
  ReportRow out;
  for (const std::string& name : group_by) {
    const auto dimension = std::find(kDimensions.begin(), kDimensions.end(), name);
    // The statement's first columns stand in the order of kDimensions; behind them the tag.
    out.group.emplace_back(row[static_cast<int>(dimension - kDimensions.begin())].c_str());
  }
  int at = static_cast<int>(kGroups);
  for (int64_t* count : {&out.requests, &out.cache_hits, &out.input_tokens,
                         &out.cached_input_tokens, &out.output_tokens, &out.calls}) {
    *count = row[at++].as<int64_t>();
  }
  return out;
}

absl::Status ReadMoney(const pqxx::row& row, ReportRow& out) {
  constexpr int kFirst = static_cast<int>(kGroups) + 6;
  FLOE_ASSIGN_OR_RETURN(out.charge, MoneyOf(row[kFirst]));
  FLOE_ASSIGN_OR_RETURN(out.credit, MoneyOf(row[kFirst + 1]));
  FLOE_ASSIGN_OR_RETURN(out.net, MoneyOf(row[kFirst + 2]));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ReportRow>> RunQuery(pqxx::transaction_base& sql,
                                                const ReportQuery& query,
                                                const std::vector<std::string>& group_by,
                                                int64_t limit, int64_t offset) {
  const auto filter = [&](std::string_view name) -> const char* {
    const auto found = query.filter.find(std::string(name));
    return found == query.filter.end() ? nullptr : found->second.c_str();
  };
  const std::string tag = query.TagKey();
  const bool by_line = query.filter.contains("token_kind") ||
                       std::find(group_by.begin(), group_by.end(), "token_kind") != group_by.end();
  const auto rows = sql.exec_params(
      kQuery, SqlArray(group_by), SqlTime(query.interval.start), SqlTime(query.interval.end), tag,
      by_line, filter("tenant"), filter("team"), filter("key"), filter("model"), filter("version"),
      filter("tier"), filter("day"), filter("operation"), filter("workflow"), filter("token_kind"),
      filter("tag:" + tag), limit, offset);
  std::vector<ReportRow> out;
  for (const auto& row : rows) {
    out.push_back(ReadReportRow(row, group_by));
    FLOE_RETURN_IF_ERROR(ReadMoney(row, out.back()));
  }
  return out;
}

absl::Status ReadAttempts(pqxx::transaction_base& sql, ExplainedUsage& explained) {
  const std::string& usage_id = explained.rated.event.usage_id;
  for (const auto& row : sql.exec_params(kAttempts, usage_id)) {
    Attempt attempt{
        .attempt_id = row[0].c_str(),
        .usage_id = usage_id,
        .worker = row[1].c_str(),
        .checkpoint_digest = row[2].c_str(),
        .time = TimeOf(row[3]),
        .prompt_tokens = row[4].as<int64_t>(),
        .prefix_cached_tokens = row[5].as<int64_t>(),
        .computed_tokens = row[6].as<int64_t>(),
        .sent_tokens = row[7].as<int64_t>(),
        .model_tokens = row[9].as<int64_t>(),
        .queue_time = absl::Microseconds(row[10].as<int64_t>()),
        .prefill_time = absl::Microseconds(row[11].as<int64_t>()),
        .decode_time = absl::Microseconds(row[12].as<int64_t>()),
        .kv_block_time = absl::Microseconds(row[13].as<int64_t>()),
        .receipt = {row[14].c_str(), row[15].as<int64_t>(), row[16].c_str(), row[17].c_str()}};
    FLOE_ASSIGN_OR_RETURN(attempt.outcome, ParseAttemptOutcome(row[8].c_str()));
    explained.attempts.push_back(std::move(attempt));
  }
  return absl::OkStatus();
}

absl::Status ReadEntries(pqxx::transaction_base& sql, const pqxx::row& usage,
                         ExplainedUsage& explained) {
  for (const auto& row : sql.exec_params(kEntries, usage["transaction_id"].as<int64_t>(),
                                         usage["credit_id"].as<int64_t>())) {
    LedgerEntry entry{row[0].as<int64_t>(), row[1].c_str(), row[2].c_str(), Money()};
    FLOE_ASSIGN_OR_RETURN(entry.amount, MoneyOf(row[3]));
    explained.entries.push_back(std::move(entry));
  }
  return absl::OkStatus();
}

absl::Status TooManySteps(std::string_view workflow) {
  return WithReason(absl::ResourceExhaustedError(
                        absl::StrCat("workflow ", AbslView(workflow), " has more than ", kMaxSteps,
                                     " steps; a report by workflow has their sums")),
                    "WORKFLOW_TOO_LARGE");
}

absl::StatusOr<WorkflowStep> ReadStep(const pqxx::row& row) {
  FLOE_ASSIGN_OR_RETURN(const RatedEvent rated, ReadUsage(row));
  const UsageEvent& event = rated.event;
  WorkflowStep step{
      .usage_id = event.usage_id,
      .parent_id = event.parent_id,
      .step = event.step.empty() ? std::string(Name(event.usage.operation)) : event.step,
      .usage = event.usage,
      .cache_hit = event.cache_hit,
      .time = event.time,
      .total_time = event.total_time,
      .time_to_first_token = event.time_to_first_token};
  FLOE_ASSIGN_OR_RETURN(step.net, Subtract(rated.charge.total, rated.credit));
  return step;
}

}  // namespace

absl::StatusOr<Report> PostgresReportStore::Query(const ReportQuery& query) {
  FLOE_RETURN_IF_ERROR(query.Check());
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<Report> {
        Report report;
        FLOE_ASSIGN_OR_RETURN(report.rows,
                              RunQuery(sql, query, query.group_by, query.limit + 1, query.offset));
        report.more = static_cast<int64_t>(report.rows.size()) > query.limit;
        if (report.more) report.rows.pop_back();
        FLOE_ASSIGN_OR_RETURN(const auto total, RunQuery(sql, query, {}, 1, 0));
        if (!total.empty()) report.total = total[0];
        return report;
      },
      postgres::Isolation::kRepeatableRead);
}

absl::StatusOr<ExplainedUsage> PostgresReportStore::Explain(std::string_view team,
                                                            std::string_view usage_id) {
  const std::string id(usage_id), of_team(team);
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<ExplainedUsage> {
    ExplainedUsage explained;
    auto rows = sql.exec_params(kExplain, id, of_team);
    const bool parked = rows.empty();
    if (parked) rows = sql.exec_params(kExplainParked, id, of_team);
    if (rows.empty()) {
      return WithReason(absl::NotFoundError(absl::StrCat("no usage event \"",
                                                         AbslView(usage_id.substr(0, 100)), "\"")),
                        "USAGE_NOT_FOUND");
    }
    FLOE_ASSIGN_OR_RETURN(explained.rated, ReadUsage(rows[0]));
    explained.receive_time = TimeOf(rows[0]["received_us"]);
    if (parked) {
      explained.rated.parked_reason = rows[0]["reason"].c_str();
    } else {
      FLOE_RETURN_IF_ERROR(ReadEntries(sql, rows[0], explained));
    }
    FLOE_RETURN_IF_ERROR(ReadAttempts(sql, explained));
    return explained;
  });
}

absl::StatusOr<std::vector<WorkflowStep>> PostgresReportStore::WorkflowSteps(
    std::string_view team, std::string_view workflow) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<WorkflowStep>> {
        std::vector<WorkflowStep> steps;
        const auto rows =
            sql.exec_params(kSteps, std::string(team), std::string(workflow), kMaxSteps + 1);
        if (rows.size() > kMaxSteps) return TooManySteps(workflow);
        for (const auto& row : rows) {
          FLOE_ASSIGN_OR_RETURN(WorkflowStep step, ReadStep(row));
          steps.push_back(std::move(step));
        }
        return steps;
      });
}

}  // namespace floe::billing
