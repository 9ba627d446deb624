#include "billing/postgres/usage_store.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/status_macros.h"
#include "billing/postgres/settlement.h"
#include "billing/postgres/sql_values.h"
#include "billing/postgres/usage_rows.h"

namespace floe::billing {
namespace {

// A column an array, a row an event; what are arrays themselves travel as text. (COPY into a
// temporary table was measured to be little faster, and needs a right on the database that a
// service's role does not have.)
#define FLOE_STAGED                                                                                \
  "WITH staged AS (SELECT usage_id, fingerprint, occurred_at, tenant, team, key_id, gateway, "     \
  "operation, model, model_version, checkpoint_digest, tier, served_tier, price_book, "            \
  "policy_version, input_tokens, cached_input_tokens, output_tokens, cached_output_tokens, "       \
  "calls, arrived_tokens, cache_hit, outcome, workflow_id, parent_id, step, "                      \
  "tags::jsonb AS tags, request_id, trace_id, queue_us, first_token_us, total_us, "                \
  "slices::text[] AS slices, line_kind::text[] AS line_kind, "                                     \
  "line_quantity::bigint[] AS line_quantity, line_price::numeric[] AS line_price, "                \
  "line_amount::numeric[] AS line_amount, line_cost::numeric[] AS line_cost, charge, credit, "     \
  "receipts::text[] AS receipts, reason FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], " \
  "$4::text[], $5::text[], "                                                                       \
  "$6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], "        \
  "$13::text[], $14::text[], $15::text[], $16::bigint[], $17::bigint[], $18::bigint[], "           \
  "$19::bigint[], $20::bigint[], $21::bigint[], $22::boolean[], $23::text[], $24::text[], "        \
  "$25::text[], $26::text[], $27::text[], $28::text[], $29::text[], $30::bigint[], "               \
  "$31::bigint[], $32::bigint[], $33::text[], $34::text[], $35::text[], $36::text[], "             \
  "$37::text[], $38::text[], $39::numeric[], $40::numeric[], $41::text[], $42::text[]) "           \
  "AS s (" FLOE_USAGE_COLUMNS ", reason))"

// What is parked stands, as what is charged does: only the same event can be charged for it.
constexpr char kPost[] = FLOE_STAGED
    ", fresh AS ("
    "  INSERT INTO billing.usage_event (transaction_id, credit_transaction_id, " FLOE_USAGE_COLUMNS
    ") SELECT nextval('billing.ledger_transaction'),"
    "    CASE WHEN credit <> 0 THEN nextval('billing.ledger_transaction') END, " FLOE_USAGE_COLUMNS
    "  FROM staged s WHERE reason = '' AND NOT EXISTS (SELECT FROM billing.parked_usage p"
    "    WHERE p.usage_id = s.usage_id AND p.fingerprint <> s.fingerprint) ORDER BY usage_id"
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
constexpr char kPark[] = FLOE_STAGED
    " INSERT INTO billing.parked_usage (" FLOE_USAGE_COLUMNS ", reason) SELECT " FLOE_USAGE_COLUMNS
    ", reason FROM staged s WHERE reason <> ''"
    " AND NOT EXISTS (SELECT FROM billing.usage_event u WHERE u.usage_id = s.usage_id)"
    " ON CONFLICT (usage_id) DO NOTHING";
// Of the events of this call, those that are charged now.
constexpr char kUnpark[] =
    "DELETE FROM billing.parked_usage p WHERE usage_id = ANY ($1::text[])"
    " AND EXISTS (SELECT FROM billing.usage_event u WHERE u.usage_id = p.usage_id)";
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
    " started_at, prompt_tokens, prefix_cached_tokens, computed_tokens, sent_tokens, outcome,"
    " model_tokens, queue_us, prefill_us, decode_us, kv_block_us, chain, sequence,"
    " previous_digest, digest)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],"
    " $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[],"
    " $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::bigint[],"
    " $18::text[], $19::text[])"
    " ON CONFLICT (attempt_id) DO NOTHING";
constexpr size_t kAttemptFields = 19;

std::array<std::string, kAttemptFields> AttemptFields(const Attempt& a) {
  const auto micros = [](absl::Duration time) {
    return absl::StrCat(absl::ToInt64Microseconds(time));
  };
  return {a.attempt_id,
          a.usage_id,
          a.worker,
          a.checkpoint_digest,
          SqlTime(a.time),
          absl::StrCat(a.prompt_tokens),
          absl::StrCat(a.prefix_cached_tokens),
          absl::StrCat(a.computed_tokens),
          absl::StrCat(a.sent_tokens),
          std::string(Name(a.outcome)),
          absl::StrCat(a.model_tokens),
          micros(a.queue_time),
          micros(a.prefill_time),
          micros(a.decode_time),
          micros(a.kv_block_time),
          a.receipt.chain,
          absl::StrCat(a.receipt.sequence),
          a.receipt.previous_digest,
          a.receipt.digest};
}

// The first event with each id; what follows in the same call is judged against it.
std::unordered_map<std::string_view, size_t> FirstOfEach(const std::vector<RatedEvent>& events) {
  std::unordered_map<std::string_view, size_t> first;
  first.reserve(events.size());
  for (size_t i = 0; i < events.size(); ++i) first.emplace(events[i].event.usage_id, i);
  return first;
}

// The columns of FLOE_USAGE_COLUMNS and `reason` as array literals.
std::array<std::string, kUsageFields> Columns(
    const std::vector<RatedEvent>& events,
    const std::unordered_map<std::string_view, size_t>& first) {
  std::array<std::string, kUsageFields> columns;
  for (std::string& column : columns) column.push_back('{');
  for (size_t i = 0; i < events.size(); ++i) {
    if (first.at(events[i].event.usage_id) != i) continue;
    const auto fields = UsageFields(events[i]);
    for (size_t c = 0; c < kUsageFields; ++c) {
      if (columns[c].size() > 1) columns[c].push_back(',');
      AppendArrayElement(fields[c], columns[c]);
    }
  }
  for (std::string& column : columns) column.push_back('}');
  return columns;
}

pqxx::result ExecWith(pqxx::transaction_base& sql, const char* statement,
                      const std::array<std::string, kUsageFields>& columns) {
  return std::apply([&](const auto&... column) { return sql.exec_params(statement, column...); },
                    columns);
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
      results[i] = {IngestState::kParked,
                    rated.parked_reason.empty()
                        ? "another event with this usage_id came before and waits for its price"
                        : rated.parked_reason};
      continue;
    }
    const int64_t fingerprint = stands == known.end() ? events[leader].fingerprint : stands->second;
    results[i].state = IngestState::kDuplicate;
    if (fingerprint == rated.fingerprint || rated.event.presumed) continue;
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
  const auto columns = Columns(events, first);
  const bool any_parked = std::any_of(events.begin(), events.end(), [](const RatedEvent& rated) {
    return !rated.parked_reason.empty();
  });
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<IngestResult>> {
        sql.exec(kShareLedger);
        if (any_parked) ExecWith(sql, kPark, columns);
        Fresh fresh;
        for (const auto& row : ExecWith(sql, kPost, columns)) {
          fresh.insert(row[0].as<std::string>());
        }
        sql.exec_params0(kUnpark, columns[0]);
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
  std::array<std::vector<std::string>, kAttemptFields> columns;
  for (const Attempt& attempt : attempts) {
    const auto fields = AttemptFields(attempt);
    for (size_t i = 0; i < fields.size(); ++i) columns[i].push_back(fields[i]);
  }
  std::array<std::string, kAttemptFields> arrays;
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
