#include "billing/postgres/verify_receipts.h"

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

namespace floe::billing {
namespace {

constexpr int kMaxFaults = 100;

// $1 to $2: when the attempts began; $3: most rows. The text is that of ReceiptDigest().
constexpr char kChanged[] =
    "SELECT worker, sequence, chain, usage_id FROM billing.worker_attempt"
    " WHERE chain <> '' AND started_at >= $1::timestamptz AND started_at < $2::timestamptz"
    "   AND digest <> encode(sha256(convert_to(concat_ws(E'\\n', 'floe receipt 1', worker, chain,"
    "     sequence, previous_digest, attempt_id, usage_id, checkpoint_digest,"
    "     (extract(epoch FROM started_at) * 1000000)::bigint, prompt_tokens,"
    "     prefix_cached_tokens, computed_tokens, sent_tokens, model_tokens, queue_us, prefill_us,"
    "     decode_us, kv_block_us, outcome), 'UTF8')), 'hex')"
    " ORDER BY chain, sequence LIMIT $3";
// $4 microseconds: the one before may still be on its way. The last of a chain has nobody behind
// it: there the gateway's event names it.
constexpr char kBroken[] =
    "SELECT a.worker, a.sequence - 1, a.chain, count(b.attempt_id) FROM billing.worker_attempt a"
    " LEFT JOIN billing.worker_attempt b ON b.chain = a.chain AND b.sequence = a.sequence - 1"
    " WHERE a.chain <> '' AND a.started_at >= $1::timestamptz AND a.started_at < $2::timestamptz"
    "   AND a.received_at <= now() - $4::bigint * interval '1 microsecond'"
    " GROUP BY a.attempt_id, a.worker, a.chain, a.sequence, a.previous_digest"
    " HAVING CASE WHEN a.sequence = 1 THEN a.previous_digest <> ''"
    "   ELSE count(b.attempt_id) <> 1 OR max(b.digest) <> a.previous_digest END"
    " ORDER BY a.chain, a.sequence LIMIT $3";
constexpr char kCount[] =
    "SELECT count(*) FROM billing.worker_attempt WHERE chain <> ''"
    " AND started_at >= $1::timestamptz AND started_at < $2::timestamptz";

std::string NameOf(const pqxx::row& row) {
  return absl::StrCat("receipt ", row[1].as<int64_t>(), " of ", row[0].c_str(), " (chain ",
                      row[2].c_str(), ")");
}

}  // namespace

void CheckReceipts(pqxx::transaction_base& sql, const std::string& start, const std::string& end,
                   absl::Duration margin, VerifyReport& report) {
  report.receipts = sql.exec_params1(kCount, start, end)[0].as<int64_t>();
  for (const auto& row : sql.exec_params(kChanged, start, end, kMaxFaults)) {
    report.receipt_faults.push_back(
        absl::StrCat(NameOf(row), " for usage ", row[3].c_str(), " is not what the worker signed"));
  }
  for (const auto& row :
       sql.exec_params(kBroken, start, end, kMaxFaults, absl::ToInt64Microseconds(margin))) {
    const int64_t found = row[3].as<int64_t>();
    report.receipt_faults.push_back(
        absl::StrCat(NameOf(row), found == 0  ? " is missing"
                                  : found > 1 ? " is there more than once"
                                              : " is not the one that the next receipt follows"));
  }
}

}  // namespace floe::billing
