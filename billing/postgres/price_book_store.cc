#include "billing/postgres/price_book_store.h"

#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "billing/postgres/sql_values.h"

namespace floe::billing {
namespace {

#define FLOE_BOOK_SELECT                                                      \
  "SELECT id, (extract(epoch FROM effective_time) * 1000000)::bigint, yaml, " \
  "digest, currency, (extract(epoch FROM create_time) * 1000000)::bigint, "   \
  "creator FROM billing.price_book "

constexpr char kInsert[] =
    "INSERT INTO billing.price_book (id, effective_time, yaml, digest, currency, create_time,"
    " creator, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
constexpr char kByRequest[] = FLOE_BOOK_SELECT "WHERE request_id = $1";
constexpr char kGet[] = FLOE_BOOK_SELECT "WHERE id = $1";
constexpr char kEffective[] = FLOE_BOOK_SELECT
    "WHERE effective_time <= $1 ORDER BY effective_time DESC, create_time DESC, id DESC LIMIT 1";
constexpr char kList[] =
    FLOE_BOOK_SELECT "ORDER BY effective_time DESC, create_time DESC, id DESC LIMIT $1 OFFSET $2";

BookRecord Read(const pqxx::row& row) {
  return {.id = row[0].c_str(),
          .effective_time = TimeOf(row[1]),
          .yaml = row[2].c_str(),
          .digest = row[3].c_str(),
          .currency = row[4].c_str(),
          .create_time = TimeOf(row[5]),
          .creator = row[6].c_str()};
}

}  // namespace

absl::StatusOr<BookRecord> PostgresPriceBookStore::Insert(const BookRecord& book,
                                                          const std::string& request_id) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<BookRecord> {
    const auto inserted = sql.exec_params0(
        kInsert, book.id, SqlTime(book.effective_time), book.yaml, book.digest, book.currency,
        SqlTime(book.create_time), book.creator, OrNull(request_id));
    if (inserted.affected_rows() == 1) return Read(sql.exec_params1(kGet, book.id));
    if (!request_id.empty()) {
      const auto first = sql.exec_params(kByRequest, request_id);
      if (!first.empty()) {
        BookRecord made = Read(first[0]);
        if (made.id == book.id && made.digest == book.digest) return made;
        return WithReason(absl::InvalidArgumentError(absl::StrCat(
                              "request_id ", request_id, " published price book ", made.id,
                              " before; give every new change an id of its own")),
                          "REQUEST_ID_REUSED");
      }
    }
    return absl::AlreadyExistsError(
        absl::StrCat("price book ", book.id,
                     " exists and never changes; publish the new prices under another id"));
  });
}

absl::StatusOr<BookRecord> PostgresPriceBookStore::Get(std::string_view id) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<BookRecord> {
    const auto found = sql.exec_params(kGet, std::string(id));
    if (!found.empty()) return Read(found[0]);
    return WithReason(
        absl::NotFoundError(absl::StrCat("no price book \"", AbslView(id.substr(0, 100)), "\"")),
        "PRICE_BOOK_NOT_FOUND", {{"price_book", std::string(id.substr(0, 100))}});
  });
}

absl::StatusOr<BookRecord> PostgresPriceBookStore::Effective(absl::Time time) {
  return pool_.Transaction([&](pqxx::transaction_base& sql) -> absl::StatusOr<BookRecord> {
    const auto found = sql.exec_params(kEffective, SqlTime(time));
    if (!found.empty()) return Read(found[0]);
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat(
            "no price book was in force at ", absl::FormatTime(time, absl::UTCTimeZone()),
            "; publish one with an effective time before that")),
        "NO_PRICE_BOOK");
  });
}

absl::StatusOr<std::vector<BookRecord>> PostgresPriceBookStore::List(int limit, int64_t offset) {
  return pool_.Transaction(
      [&](pqxx::transaction_base& sql) -> absl::StatusOr<std::vector<BookRecord>> {
        std::vector<BookRecord> books;
        for (const auto& row : sql.exec_params(kList, limit, offset)) books.push_back(Read(row));
        return books;
      });
}

}  // namespace floe::billing
