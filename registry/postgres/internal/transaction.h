// What the repositories of this folder share inside a transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <pqxx/pqxx>

#include "registry/caller.h"
#include "registry/model_version.h"

namespace floe::registry {

// A time as Postgres reads it, and as these repositories select it (microseconds since 1970).
std::string SqlTime(absl::Time time);
absl::Time TimeOf(const pqxx::field& microseconds);

// Doubles travel as text, to the last bit.
std::string SqlDouble(double value);
double DoubleOf(const pqxx::field& value);

// The row that the first request with this id made; nothing when it is the first, or has no id.
// Holds back others of the same id until the transaction ends. INVALID_ARGUMENT
// (REQUEST_ID_REUSED) when that request asked for something else.
absl::StatusOr<std::optional<int64_t>> FirstAnswer(pqxx::transaction_base& sql,
                                                   const std::string& team,
                                                   const RequestKey& request);
void RecordAnswer(pqxx::transaction_base& sql, const std::string& team, const RequestKey& request,
                  int64_t answer, absl::Time now);

// Makes the blobs `team`'s, and keeps them from being collected until the transaction ends.
// FAILED_PRECONDITION (BLOB_MISSING) naming each that `caller_team` may not read.
absl::Status HoldBlobs(pqxx::transaction_base& sql, const std::string& caller_team,
                       const std::string& team, const std::vector<VersionFile>& blobs);

// The error of a change that was answered once, and whose outcome has been deleted since.
absl::Status AnswerDeleted(const RequestKey& request);

}  // namespace floe::registry
