#include "billing/postgres/invoice_store.h"

#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "billing/postgres/ledger_rows.h"
#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

constexpr char kIssued[] =
    "SELECT (extract(epoch FROM issue_time) * 1000000)::bigint, total::text"
    " FROM billing.invoice WHERE team = $1 AND month = $2::date";
constexpr char kLines[] =
    "SELECT model, CASE WHEN model = '' THEN operation ELSE '' END, tier, kind,"
    " sum(quantity)::bigint, price::text, sum(amount)::text,"
    " CASE WHEN occurred_at < $3::timestamptz"
    "   THEN to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM') ELSE '' END"
    " FROM billing.usage_line WHERE team = $1 AND occurred_at < $4::timestamptz AND kind <> ''"
    " AND billing.billing_month(team, occurred_at, transaction_id) = $2::date"
    " GROUP BY 1, 2, 3, 4, price, 8 ORDER BY 8, 1, 2, 3, 4, price";
constexpr char kLater[] =
    "SELECT to_char(min(month), 'YYYY-MM') FROM billing.invoice"
    " WHERE team = $1 AND month > $2::date HAVING count(*) > 0";
constexpr char kEarlier[] =
    "SELECT to_char(min(occurred_at AT TIME ZONE 'UTC'), 'YYYY-MM') FROM billing.usage_event u"
    " WHERE team = $1 AND occurred_at < $2::timestamptz AND NOT EXISTS ("
    "   SELECT FROM billing.invoice i WHERE i.team = u.team"
    "   AND i.month = date_trunc('month', u.occurred_at AT TIME ZONE 'UTC')::date)"
    " HAVING count(*) > 0";
constexpr char kCut[] =
    "SELECT coalesce(max(transaction_id), 0) FROM billing.usage_event WHERE team = $1";
constexpr char kInsert[] =
    "INSERT INTO billing.invoice (team, month, cut, exact_total, total, rounding_transaction_id,"
    " issue_time) VALUES ($1, $2::date, $3, $4, $5, nullif($6, 0), $7)";
constexpr char kFocus[] =
    "SELECT (extract(epoch FROM date_trunc('hour', occurred_at, 'UTC')) * 1000000)::bigint, tenant,"
    " team, model, model_version, operation, tier, kind, price_book, tags::text,"
    " sum(quantity)::bigint, price::text, sum(amount)::text, occurred_at < $3::timestamptz"
    " FROM billing.usage_line WHERE ($1 = '' OR team = $1) AND occurred_at < $4::timestamptz"
    " AND kind <> '' AND billing.billing_month(team, occurred_at, transaction_id) = $2::date"
    " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, price, 14"
    " ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, price";
constexpr char kIssuedTeams[] =
    "SELECT team FROM billing.invoice WHERE month = $2::date AND ($1 = '' OR team = $1)"
    " ORDER BY team";
constexpr char kTenant[] =
    "SELECT coalesce(min(tenant), 'default') FROM billing.usage_event WHERE team = $1";

std::string SqlDate(absl::CivilMonth month) { return absl::StrCat(WriteMonth(month), "-01"); }

absl::StatusOr<Invoice> Compute(pqxx::transaction_base& sql, const std::string& team,
                                absl::CivilMonth month) {
  const Interval interval = IntervalOf(month);
  std::vector<InvoiceLine> lines;
  for (const auto& row : sql.exec_params(kLines, team, SqlDate(month), SqlTime(interval.start),
                                         SqlTime(interval.end))) {
    InvoiceLine line{.model = row[0].c_str(),
                     .operation = row[1].c_str(),
                     .tier = row[2].c_str(),
                     .kind = row[3].c_str(),
                     .quantity = row[4].as<int64_t>(),
                     .correction_of = row[7].c_str()};
    FLOE_ASSIGN_OR_RETURN(line.unit_price, MoneyOf(row[5]));
    FLOE_ASSIGN_OR_RETURN(line.exact_amount, MoneyOf(row[6]));
    lines.push_back(std::move(line));
  }
  return MakeInvoice(team, month, std::move(lines));
}

// The invoice as it stands; an issued one must still come to the total that was issued.
absl::StatusOr<Invoice> Read(pqxx::transaction_base& sql, const std::string& team,
                             absl::CivilMonth month) {
  FLOE_ASSIGN_OR_RETURN(Invoice invoice, Compute(sql, team, month));
  const auto issued = sql.exec_params(kIssued, team, SqlDate(month));
  if (issued.empty()) return invoice;
  invoice.issue_time = TimeOf(issued[0][0]);
  FLOE_ASSIGN_OR_RETURN(const Money total, MoneyOf(issued[0][1]));
  if (total == invoice.total) return invoice;
  return absl::DataLossError(absl::StrCat(invoice.Name(), " was issued over $", total.ToDollars(),
                                          " and its usage now comes to $",
                                          invoice.total.ToDollars()));
}

absl::Status CheckOrder(pqxx::transaction_base& sql, const std::string& team,
                        absl::CivilMonth month) {
  const auto later = sql.exec_params(kLater, team, SqlDate(month));
  if (!later.empty()) {
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat("the invoice of ", later[0][0].c_str(),
                                                   " is issued; months are closed in order")),
        "INVOICE_OUT_OF_ORDER");
  }
  const auto earlier = sql.exec_params(kEarlier, team, SqlTime(IntervalOf(month).start));
  if (earlier.empty()) return absl::OkStatus();
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat("usage of ", earlier[0][0].c_str(),
                                                 " has no invoice yet; issue that month first")),
      "INVOICE_OUT_OF_ORDER");
}

absl::StatusOr<FocusUsage> ReadFocus(const pqxx::row& row) {
  FocusUsage usage{.hour = TimeOf(row[0]),
                   .tenant = row[1].c_str(),
                   .team = row[2].c_str(),
                   .model = row[3].c_str(),
                   .model_version = row[4].c_str(),
                   .operation = row[5].c_str(),
                   .tier = row[6].c_str(),
                   .kind = row[7].c_str(),
                   .price_book = row[8].c_str(),
                   .tags = row[9].c_str(),
                   .quantity = row[10].as<int64_t>(),
                   .late = row[13].as<bool>()};
  FLOE_ASSIGN_OR_RETURN(usage.unit_price, MoneyOf(row[11]));
  FLOE_ASSIGN_OR_RETURN(usage.amount, MoneyOf(row[12]));
  return usage;
}

}  // namespace

absl::StatusOr<Invoice> PostgresInvoiceStore::Get(std::string_view team, absl::CivilMonth month) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) { return Read(sql, std::string(team), month); },
      postgres::Isolation::kRepeatableRead);
}

absl::StatusOr<Invoice> PostgresInvoiceStore::Issue(std::string_view team, absl::CivilMonth month,
                                                    absl::Time now) {
  const std::string of_team(team);
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<Invoice> {
    // No event is being posted while the cut is made.
    sql.exec(kHoldLedger);
    if (!sql.exec_params(kIssued, of_team, SqlDate(month)).empty()) {
      return Read(sql, of_team, month);
    }
    if (now < IntervalOf(month).end) {
      return WithReason(absl::FailedPreconditionError(absl::StrCat(
                            WriteMonth(month), " is not over yet; it ends at midnight UTC")),
                        "INVOICE_MONTH_OPEN");
    }
    FLOE_RETURN_IF_ERROR(CheckOrder(sql, of_team, month));
    FLOE_ASSIGN_OR_RETURN(const Invoice invoice, Compute(sql, of_team, month));
    FLOE_ASSIGN_OR_RETURN(const int64_t rounding,
                          Post(sql, RoundingPosting(invoice.Name(), team, now, invoice.rounding)));
    const auto cut = sql.exec_params1(kCut, of_team)[0].as<int64_t>();
    sql.exec_params0(kInsert, of_team, SqlDate(month), cut, invoice.exact_total.ToString(),
                     invoice.total.ToString(), rounding, SqlTime(now));
    return Read(sql, of_team, month);
  });
}

absl::Status PostgresInvoiceStore::ExportFocus(
    std::string_view team, absl::CivilMonth month,
    const std::function<void(std::string_view line)>& take) {
  const Interval period = IntervalOf(month);
  const std::string of_team(team), date = SqlDate(month);
  std::vector<std::string> lines;
  FLOE_RETURN_IF_ERROR(pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::Status {
        lines = {FocusHeader()};  // a transaction may run again
        std::map<std::string, std::string> invoices;
        for (const auto& row : sql.exec_params(kIssuedTeams, of_team, date)) {
          const std::string issued = row[0].c_str();
          invoices[issued] = Invoice{.team = issued, .month = month}.Name();
        }
        for (const auto& row :
             sql.exec_params(kFocus, of_team, date, SqlTime(period.start), SqlTime(period.end))) {
          FLOE_ASSIGN_OR_RETURN(const FocusUsage usage, ReadFocus(row));
          const auto invoice = invoices.find(usage.team);
          lines.push_back(FocusRow(usage, period,
                                   invoice == invoices.end()
                                       ? std::nullopt
                                       : std::optional<std::string>(invoice->second)));
        }
        for (const auto& [issued, name] : invoices) {
          FLOE_ASSIGN_OR_RETURN(const Invoice invoice, Read(sql, issued, month));
          if (invoice.rounding.is_zero()) continue;
          lines.push_back(FocusRoundingRow(invoice, sql.exec_params1(kTenant, issued)[0].c_str()));
        }
        return absl::OkStatus();
      },
      postgres::Isolation::kRepeatableRead));
  for (const std::string& line : lines) take(line);
  return absl::OkStatus();
}

}  // namespace floe::billing
