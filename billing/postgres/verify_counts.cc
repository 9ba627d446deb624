// The three counts of each request, from usage events, attempts and the ledger.
#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/status_macros.h"
#include "billing/postgres/job_usage_store.h"
#include "billing/postgres/report_store.h"
#include "billing/postgres/sql_values.h"
#include "billing/postgres/verify_receipts.h"

namespace floe::billing {
namespace {

// One row a request of the interval ($1, $2) and team ($3; '' all); $4 microseconds make it recent.
// Attempts have no team, so those without any event show in a report over all teams only. Requests
// whose counts are all the same are `even`: Explain() has nothing to say about them, and the first
// row has their number and sums.
constexpr char kCounts[] =
    "WITH event AS ("
    " SELECT usage_id, '' AS parked, cache_hit, outcome,"
    "   input_tokens + cached_input_tokens AS input,"
    "   output_tokens + cached_output_tokens AS output, arrived_tokens AS arrived, received_at,"
    "   receipts FROM billing.usage_event"
    " WHERE occurred_at >= $1::timestamptz AND occurred_at < $2::timestamptz"
    "   AND ($3 = '' OR team = $3)"
    " UNION ALL"
    " SELECT usage_id, reason, cache_hit, outcome, input_tokens + cached_input_tokens,"
    "   output_tokens + cached_output_tokens, arrived_tokens, received_at, receipts"
    " FROM billing.parked_usage"
    " WHERE occurred_at >= $1::timestamptz AND occurred_at < $2::timestamptz"
    "   AND ($3 = '' OR team = $3)"
    "), worked AS ("  // of these events, whenever it began; and of no event at all
    " SELECT * FROM billing.worker_attempt WHERE usage_id IN (SELECT usage_id FROM event)"
    " UNION ALL"
    " SELECT * FROM billing.worker_attempt a WHERE $3 = ''"
    "   AND started_at >= $1::timestamptz AND started_at < $2::timestamptz"
    "   AND NOT EXISTS (SELECT FROM billing.usage_event u WHERE u.usage_id = a.usage_id)"
    "   AND NOT EXISTS (SELECT FROM billing.parked_usage p WHERE p.usage_id = a.usage_id)"
    "), attempt AS ("
    " SELECT usage_id, count(*) AS attempts, count(*) FILTER (WHERE outcome <> 'finished') AS"
    "   unfinished, count(*) FILTER (WHERE outcome = 'unknown') AS unknown,"
    "   sum(prompt_tokens)::bigint AS prompt, sum(computed_tokens)::bigint AS computed,"
    "   sum(sent_tokens)::bigint AS sent, max(received_at) AS received_at,"
    "   array_agg(digest) AS digests"
    " FROM worked GROUP BY usage_id"
    "), counts AS ("
    " SELECT usage_id, e.usage_id IS NOT NULL AS known, coalesce(parked, '') AS parked,"
    "   coalesce(cache_hit, false) AS cache_hit, coalesce(outcome, 'completed') AS outcome,"
    "   coalesce(input, 0) AS input, coalesce(output, 0) AS output,"
    "   coalesce(arrived, 0) AS arrived, coalesce(attempts, 0) AS attempts,"
    "   coalesce(unfinished, 0) AS unfinished, coalesce(unknown, 0) AS unknown,"
    "   coalesce(prompt, 0) AS prompt, coalesce(computed, 0) AS computed,"
    "   coalesce(sent, 0) AS sent, greatest(e.received_at, a.received_at)"
    "     > now() - $4::bigint * interval '1 microsecond' AS recent,"
    "   coalesce((SELECT min(r) FROM unnest(receipts) r WHERE digests IS NULL"
    "     OR r <> ALL (digests)), '') AS missing"
    " FROM event e FULL JOIN attempt a USING (usage_id)"
    "), judged AS ("
    " SELECT *, known AND parked = '' AND NOT cache_hit AND attempts = 1 AND prompt = input"
    "   AND computed = sent AND sent = arrived AND arrived = output AND missing = '' AS even"
    " FROM counts"
    ") SELECT '', count(*), false, '', false, '', 0, coalesce(sum(output), 0)::bigint,"
    "   coalesce(sum(arrived), 0)::bigint, 0, 0, 0, 0, coalesce(sum(computed), 0)::bigint,"
    "   coalesce(sum(sent), 0)::bigint, false, '' FROM judged WHERE even"
    " UNION ALL (SELECT usage_id, 1, known, parked, cache_hit, outcome, input, output, arrived,"
    "   attempts, unfinished, unknown, prompt, computed, sent, recent, missing"
    "   FROM judged WHERE NOT even ORDER BY usage_id)";

// A transaction is posted by one statement, so all of it has one time.
constexpr char kUnbalanced[] =
    "SELECT count(*) FROM (SELECT FROM billing.ledger_entry"
    " WHERE posted_at >= $1::timestamptz AND posted_at < $2::timestamptz"
    " GROUP BY transaction_id HAVING sum(amount) <> 0) t";
// Charges against their lines, and against what the ledger says.
constexpr char kWrongCharges[] =
    "SELECT count(*) FILTER (WHERE charge <> (SELECT coalesce(sum(a), 0)"
    "   FROM unnest(line_amount) a)"
    " OR EXISTS (SELECT FROM unnest(line_quantity, line_price, line_amount) l (q, p, a)"
    "   WHERE q * p <> a)),"
    " count(*) FILTER (WHERE charge <> coalesce((SELECT amount FROM billing.ledger_entry e"
    "   WHERE e.transaction_id = u.transaction_id AND line = 1), 0)),"
    " count(*) FILTER (WHERE credit <> coalesce((SELECT amount FROM billing.ledger_entry e"
    "   WHERE e.transaction_id = u.credit_transaction_id AND line = 1), 0))"
    " FROM billing.usage_event u WHERE occurred_at >= $1::timestamptz"
    " AND occurred_at < $2::timestamptz AND ($3 = '' OR team = $3)";
constexpr char kConflicts[] =
    "SELECT count(*) FROM billing.usage_conflict c JOIN billing.usage_event u USING (usage_id)"
    " WHERE u.occurred_at >= $1::timestamptz AND u.occurred_at < $2::timestamptz"
    " AND ($3 = '' OR u.team = $3)";

absl::StatusOr<RequestCounts> ReadCounts(const pqxx::row& row) {
  RequestCounts counts{.usage_id = row[0].c_str(),
                       .recent = row[15].as<bool>(),
                       .charged = row[2].as<bool>(),
                       .parked_reason = row[3].c_str(),
                       .cache_hit = row[4].as<bool>()};
  FLOE_ASSIGN_OR_RETURN(counts.outcome, ParseOutcome(row[5].c_str()));
  int at = 6;
  for (int64_t* count : {&counts.input_tokens, &counts.output_tokens, &counts.arrived_tokens,
                         &counts.attempts, &counts.unfinished_attempts, &counts.unknown_attempts,
                         &counts.prompt_tokens, &counts.computed_tokens, &counts.sent_tokens}) {
    *count = row[at++].as<int64_t>();
  }
  counts.missing_receipt = row[16].c_str();
  return counts;
}

// The first row: all that are even.
void TakeEven(const pqxx::row& row, VerifyReport& report) {
  report.requests = row[1].as<int64_t>();
  report.charged_tokens = row[7].as<int64_t>();
  report.arrived_tokens = row[8].as<int64_t>();
  report.computed_tokens = row[13].as<int64_t>();
  report.sent_tokens = row[14].as<int64_t>();
}

void CheckBooks(pqxx::transaction_base& sql, const std::string& start, const std::string& end,
                const std::string& team, VerifyReport& report) {
  const auto fault = [&](const pqxx::field& count, const char* what) {
    if (count.as<int64_t>() > 0) {
      report.ledger_faults.push_back(absl::StrCat(count.as<int64_t>(), what));
    }
  };
  fault(sql.exec_params1(kUnbalanced, start, end)[0], " ledger transactions do not sum to zero");
  const auto wrong = sql.exec_params1(kWrongCharges, start, end, team);
  fault(wrong[0], " charges are not the sum of quantity times price of their lines");
  fault(wrong[1], " charges are not what the ledger says");
  fault(wrong[2], " credits are not what the ledger says");
  fault(sql.exec_params1(kConflicts, start, end, team)[0],
        " events came again with other content under the same usage_id");
}

}  // namespace

absl::StatusOr<VerifyReport> PostgresReportStore::Verify(const VerifyQuery& query) {
  const std::string start = SqlTime(query.interval.start), end = SqlTime(query.interval.end);
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<VerifyReport> {
        VerifyReport report;
        const auto rows = sql.exec_params(kCounts, start, end, query.team,
                                          absl::ToInt64Microseconds(query.margin));
        TakeEven(rows[0], report);
        for (pqxx::result::size_type i = 1; i < rows.size(); ++i) {
          FLOE_ASSIGN_OR_RETURN(const RequestCounts counts, ReadCounts(rows[i]));
          report.Take(counts, query.max_differences);
        }
        CheckBooks(sql, start, end, query.team, report);
        CheckJobUsage(sql, query.team, report);
        // Receipts have no team.
        if (query.team.empty()) CheckReceipts(sql, start, end, query.margin, report);
        return report;
      },
      postgres::Isolation::kRepeatableRead);
}

}  // namespace floe::billing
