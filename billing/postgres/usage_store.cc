#include "billing/postgres/usage_store.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include <pqxx/pqxx>

#include "base/status_macros.h"
#include "billing/postgres/settlement.h"
#include "billing/postgres/sql_values.h"
#include "billing/postgres/usage_rows.h"

namespace floe::billing {
namespace {

constexpr char kHasStaging[] = "SELECT to_regclass('pg_temp.usage_staging') IS NOT NULL";
constexpr char kCreateStaging[] =
    "CREATE TEMP TABLE usage_staging ON COMMIT DELETE ROWS AS "
    "SELECT * FROM billing.parked_usage WITH NO DATA";
constexpr char kPost[] =
    "WITH fresh AS ("
    "  INSERT INTO billing.usage_event (transaction_id, credit_transaction_id, " FLOE_USAGE_COLUMNS
    ") SELECT nextval('billing.ledger_transaction'),"
    "    CASE WHEN credit <> 0 THEN nextval('billing.ledger_transaction') END, " FLOE_USAGE_COLUMNS
    "  FROM usage_staging WHERE reason = '' ORDER BY usage_id"
    "  ON CONFLICT (usage_id) DO NOTHING"
    "  RETURNING usage_id, transaction_id, credit_transaction_id, charge, credit,"
    "    'receivable/' || team AS receivable, COALESCE(NULLIF(model, ''), operation) AS product"
    "), posted AS ("
    "  INSERT INTO billing.ledger_entry (transaction_id, line, kind, source, account, amount)"
    "  SELECT transaction_id, 1, 'usage', usage_id, receivable, charge"
    "    FROM fresh WHERE charge <> 0"
    "  UNION ALL SELECT transaction_id, 2, 'usage', usage_id, 'revenue/' || product, -charge"
    "    FROM fresh WHERE charge <> 0"
    "  UNION ALL SELECT credit_transaction_id, 1, 'tier_credit', usage_id,"
    "    'tier_credits/' || product, credit FROM fresh WHERE credit <> 0"
    "  UNION ALL SELECT credit_transaction_id, 2, 'tier_credit', usage_id, receivable, -credit"
    "    FROM fresh WHERE credit <> 0"
    ") SELECT usage_id FROM fresh";
constexpr char kPark[] =
    "INSERT INTO billing.parked_usage (" FLOE_USAGE_COLUMNS ", reason) SELECT " FLOE_USAGE_COLUMNS
    ", reason FROM usage_staging s WHERE reason <> ''"
    " AND NOT EXISTS (SELECT FROM billing.usage_event u WHERE u.usage_id = s.usage_id)"
    " ON CONFLICT (usage_id) DO NOTHING";
constexpr char kUnpark[] =
    "DELETE FROM billing.parked_usage p USING usage_staging s"
    " WHERE s.reason = '' AND s.usage_id = p.usage_id";
constexpr char kKnown[] =
    "SELECT usage_id, fingerprint FROM billing.usage_event WHERE usage_id = ANY ($1::text[])";
constexpr char kConflict[] =
    "INSERT INTO billing.usage_conflict (usage_id, fingerprint) VALUES ($1, $2)"
    " ON CONFLICT DO NOTHING";
constexpr char kParked[] =
    "SELECT " FLOE_USAGE_SELECT
    ", reason FROM billing.parked_usage WHERE usage_id > $1 ORDER BY usage_id LIMIT $2";
constexpr char kAttempts[] =
    "INSERT INTO billing.worker_attempt (attempt_id, usage_id, worker, checkpoint_digest,"
    " started_at, prompt_tokens, prefix_cached_tokens, computed_tokens, sent_tokens, outcome)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],"
    " $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])"
    " ON CONFLICT (attempt_id) DO NOTHING";

// The first event with each id; what follows in the same call is judged against it.
std::unordered_map<std::string_view, size_t> FirstOfEach(const std::vector<RatedEvent>& events) {
  std::unordered_map<std::string_view, size_t> first;
  first.reserve(events.size());
  for (size_t i = 0; i < events.size(); ++i) first.emplace(events[i].event.usage_id, i);
  return first;
}

void Stage(pqxx::transaction_base& sql, const std::vector<RatedEvent>& events,
           const std::unordered_map<std::string_view, size_t>& first) {
  if (!sql.exec1(kHasStaging)[0].as<bool>()) sql.exec(kCreateStaging);
  std::vector<std::string> columns =
      absl::StrSplit(FLOE_USAGE_COLUMNS ", reason", absl::ByString(", "));
  pqxx::stream_to copy(sql, "usage_staging", columns);
  for (size_t i = 0; i < events.size(); ++i) {
    if (first.at(events[i].event.usage_id) != i) continue;
    copy << UsageFields(events[i]);
  }
  copy.complete();
}

using Fresh = std::unordered_set<std::string>;

// Fingerprints of the events that stood before this call.
std::unordered_map<std::string, int64_t> Known(pqxx::transaction_base& sql,
                                               const std::vector<RatedEvent>& events,
                                               const Fresh& fresh) {
  std::vector<std::string> ids;
  for (const RatedEvent& rated : events) {
    if (!fresh.contains(rated.event.usage_id)) ids.push_back(rated.event.usage_id);
  }
  std::unordered_map<std::string, int64_t> known;
  if (ids.empty()) return known;
  for (const auto& row : sql.exec_params(kKnown, SqlArray(ids))) {
    known[row[0].as<std::string>()] = row[1].as<int64_t>();
  }
  return known;
}

// One result an event, in their order.
std::vector<IngestResult> Judge(pqxx::transaction_base& sql, const std::vector<RatedEvent>& events,
                                const std::unordered_map<std::string_view, size_t>& first,
                                const Fresh& fresh) {
  const auto known = Known(sql, events, fresh);
  std::vector<IngestResult> results(events.size());
  for (size_t i = 0; i < events.size(); ++i) {
    const RatedEvent& rated = events[i];
    const std::string& id = rated.event.usage_id;
    const auto stands = known.find(id);
    const size_t leader = first.at(id);
    if (leader == i && fresh.contains(id)) continue;
    if (stands == known.end() && !fresh.contains(id)) {
      results[i] = {IngestState::kParked, rated.parked_reason};
      continue;
    }
    const int64_t fingerprint = stands == known.end() ? events[leader].fingerprint : stands->second;
    results[i].state = IngestState::kDuplicate;
    if (fingerprint == rated.fingerprint) continue;
    sql.exec_params0(kConflict, id, rated.fingerprint);
    results[i] = {IngestState::kConflict,
                  "an event with this usage_id and other content was charged before"};
  }
  return results;
}

}  // namespace

absl::StatusOr<std::vector<IngestResult>> PostgresUsageStore::Append(
    const std::vector<RatedEvent>& events) {
  if (events.empty()) return std::vector<IngestResult>();
  const auto first = FirstOfEach(events);
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<IngestResult>> {
        sql.exec(kShareLedger);
        Stage(sql, events, first);
        sql.exec0(kPark);
        Fresh fresh;
        for (const auto& row : sql.exec(kPost)) fresh.insert(row[0].as<std::string>());
        sql.exec0(kUnpark);
        std::vector<const RatedEvent*> charged;
        for (const auto& [id, index] : first) {
          if (fresh.contains(events[index].event.usage_id)) charged.push_back(&events[index]);
        }
        FLOE_RETURN_IF_ERROR(Settle(sql, charged));
        return Judge(sql, events, first, fresh);
      });
}

absl::StatusOr<std::vector<RatedEvent>> PostgresUsageStore::Parked(std::string_view after,
                                                                   int limit) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<RatedEvent>> {
        std::vector<RatedEvent> parked;
        for (const auto& row : sql.exec_params(kParked, std::string(after), limit)) {
          FLOE_ASSIGN_OR_RETURN(RatedEvent rated, ReadUsage(row));
          rated.parked_reason = row["reason"].c_str();
          parked.push_back(std::move(rated));
        }
        return parked;
      });
}

absl::StatusOr<int64_t> PostgresUsageStore::AppendAttempts(const std::vector<Attempt>& attempts) {
  if (attempts.empty()) return 0;
  std::array<std::vector<std::string>, 10> columns;
  for (const Attempt& a : attempts) {
    const std::array<std::string, 10> fields = {a.attempt_id,
                                                a.usage_id,
                                                a.worker,
                                                a.checkpoint_digest,
                                                SqlTime(a.time),
                                                absl::StrCat(a.prompt_tokens),
                                                absl::StrCat(a.prefix_cached_tokens),
                                                absl::StrCat(a.computed_tokens),
                                                absl::StrCat(a.sent_tokens),
                                                std::string(Name(a.outcome))};
    for (size_t i = 0; i < fields.size(); ++i) columns[i].push_back(fields[i]);
  }
  std::array<std::string, 10> arrays;
  std::transform(columns.begin(), columns.end(), arrays.begin(), SqlArray);
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<int64_t> {
    return std::apply(
        [&](const auto&... array) {
          return static_cast<int64_t>(sql.exec_params0(kAttempts, array...).affected_rows());
        },
        arrays);
  });
}

}  // namespace floe::billing
