#include "base/postgres/status.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <pqxx/pqxx>

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::postgres {
namespace {

absl::Status Make(absl::StatusCode code, std::string_view reason, std::string_view what,
                  std::string_view why) {
  return WithReason(absl::Status(code, absl::StrCat(AbslView(what), ": ", AbslView(why))), reason);
}

// The server's first line, which names relation or constraint; DETAIL lines quote values, and the
// text of the statement follows in some versions.
std::string FirstLine(const char* text) {
  const std::string_view all = text;
  std::string_view line = all.substr(0, all.find('\n'));
  constexpr std::string_view kPrefix = "ERROR:  ";
  if (line.substr(0, kPrefix.size()) == kPrefix) line.remove_prefix(kPrefix.size());
  return std::string(line);
}

// SQLSTATE classes: postgresql.org/docs/15/errcodes-appendix.html
absl::Status FromSqlState(const std::string& state, std::string_view what, const std::string& why) {
  using absl::StatusCode;
  const std::string kind = state.substr(0, 2);
  if (state == "23505" || state == "23P01") {
    return Make(StatusCode::kAlreadyExists, "POSTGRES_UNIQUE_VIOLATION", what, why);
  }
  if (kind == "23") {
    return Make(StatusCode::kFailedPrecondition, "POSTGRES_CONSTRAINT_VIOLATION", what, why);
  }
  if (kind == "40") return Make(StatusCode::kAborted, "POSTGRES_CONFLICT", what, why);
  if (state == "57014" || state == "55P03") {
    return Make(StatusCode::kDeadlineExceeded, "POSTGRES_TIMEOUT", what, why);
  }
  if (kind == "57" || kind == "08") {
    return Make(StatusCode::kUnavailable, "POSTGRES_UNAVAILABLE", what, why);
  }
  if (kind == "53" || kind == "54") {
    return Make(StatusCode::kResourceExhausted, "POSTGRES_EXHAUSTED", what, why);
  }
  if (kind == "22") return Make(StatusCode::kInvalidArgument, "POSTGRES_DATA", what, why);
  return Make(StatusCode::kInternal, "POSTGRES_ERROR", what, absl::StrCat(why, " [", state, "]"));
}

}  // namespace

absl::Status StatusFrom(const std::exception& error, std::string_view what) {
  using absl::StatusCode;
  const std::string why = FirstLine(error.what());
  if (dynamic_cast<const pqxx::broken_connection*>(&error) != nullptr) {
    // pqxx says `too many clients` with this class too.
    if (absl::StrContains(error.what(), "too many clients")) {
      return Make(StatusCode::kResourceExhausted, "POSTGRES_EXHAUSTED", what, why);
    }
    return Make(StatusCode::kUnavailable, "POSTGRES_UNAVAILABLE", what, why);
  }
  if (dynamic_cast<const pqxx::in_doubt_error*>(&error) != nullptr ||
      dynamic_cast<const pqxx::statement_completion_unknown*>(&error) != nullptr) {
    return Make(
        StatusCode::kUnknown, "POSTGRES_COMMIT_IN_DOUBT", what,
        "the connection was lost while committing; look whether it happened before repeating");
  }
  if (dynamic_cast<const pqxx::transaction_rollback*>(&error) != nullptr) {
    return Make(StatusCode::kAborted, "POSTGRES_CONFLICT", what, why);
  }
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error)) {
    // libpq reports a server that went away without an SQLSTATE.
    if (sql->sqlstate().empty()) {
      return Make(StatusCode::kUnavailable, "POSTGRES_UNAVAILABLE", what, why);
    }
    return FromSqlState(sql->sqlstate(), what, why);
  }
  if (dynamic_cast<const pqxx::conversion_error*>(&error) != nullptr) {
    return Make(StatusCode::kInvalidArgument, "POSTGRES_DATA", what, why);
  }
  return Make(StatusCode::kInternal, "POSTGRES_ERROR", what, why);
}

}  // namespace floe::postgres
