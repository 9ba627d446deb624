#include "billing/postgres/ledger_rows.h"

#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

constexpr char kNext[] = "SELECT nextval('billing.ledger_transaction')";
// All entries in one statement: that is where the database checks their sum.
constexpr char kInsert[] =
    "INSERT INTO billing.ledger_entry (transaction_id, line, kind, source, account, amount)"
    " SELECT $1, e.line, $2, $3, e.account, e.amount"
    " FROM unnest($4::text[], $5::numeric[]) WITH ORDINALITY AS e (account, amount, line)";

}  // namespace

absl::StatusOr<int64_t> Post(pqxx::transaction_base& sql, const Posting& posting) {
  std::vector<std::string> accounts, amounts;
  for (const LedgerEntry& entry : posting.Entries()) {
    accounts.push_back(entry.account);
    amounts.push_back(entry.amount.ToString());
  }
  if (accounts.empty()) return 0;
  const auto id = sql.exec1(kNext)[0].as<int64_t>();
  sql.exec_params0(kInsert, id, std::string(Name(posting.kind)), posting.source, SqlArray(accounts),
                   SqlArray(amounts));
  return id;
}

}  // namespace floe::billing
