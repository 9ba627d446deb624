#include "bench/billing/postgres/bare_rows.h"

#include <chrono>
#include <functional>
#include <tuple>

#include "absl/strings/str_split.h"
#include <pqxx/pqxx>

#include "billing/postgres/usage_rows.h"

namespace floe::billing {
namespace {

constexpr char kMakeTable[] =
    "CREATE TABLE bare AS SELECT * FROM billing.parked_usage WITH NO DATA;"
    "ALTER TABLE bare ADD PRIMARY KEY (usage_id)";
constexpr char kInsert[] = "INSERT INTO bare (" FLOE_USAGE_COLUMNS
                           ", reason) VALUES ("
                           "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
                           "$15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, "
                           "$29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41)";

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

BareRows::BareRows(std::string dsn) : dsn_(std::move(dsn)) {
  pqxx::connection connection(dsn_);
  pqxx::nontransaction(connection).exec(kMakeTable);
}

double BareRows::InsertOneByOne(const std::vector<RatedEvent>& events) {
  pqxx::connection connection(dsn_);
  connection.prepare("row", kInsert);
  return Seconds([&] {
    for (const RatedEvent& event : events) {
      pqxx::nontransaction sql(connection);
      std::apply([&](const auto&... field) { sql.exec_prepared("row", field...); },
                 UsageFields(event));
    }
  });
}

double BareRows::Copy(const std::vector<RatedEvent>& events) {
  pqxx::connection connection(dsn_);
  const std::vector<std::string> columns =
      absl::StrSplit(FLOE_USAGE_COLUMNS ", reason", absl::ByString(", "));
  std::vector<std::array<std::string, kUsageFields>> rows;
  for (const RatedEvent& event : events) rows.push_back(UsageFields(event));
  return Seconds([&] {
    pqxx::work sql(connection);
    pqxx::stream_to copy(sql, "bare", columns);
    for (const auto& row : rows) copy << row;
    copy.complete();
    sql.commit();
  });
}

}  // namespace floe::billing
