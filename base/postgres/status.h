// The one place where exceptions of libpqxx become absl::Status.
#pragma once

#include <exception>
#include <string_view>

#include "absl/status/status.h"

namespace floe::postgres {

// What `error` means to a caller, with the reason as a constant (base/error_reason.h):
//   connection lost, server shutting down   UNAVAILABLE         POSTGRES_UNAVAILABLE
//   lost while committing                   UNKNOWN             POSTGRES_COMMIT_IN_DOUBT
//   serialization failure, deadlock         ABORTED             POSTGRES_CONFLICT
//   unique, exclusion                       ALREADY_EXISTS      POSTGRES_UNIQUE_VIOLATION
//   foreign key, not null, check            FAILED_PRECONDITION POSTGRES_CONSTRAINT_VIOLATION
//   statement or lock timeout               DEADLINE_EXCEEDED   POSTGRES_TIMEOUT
//   out of connections, memory or disk      RESOURCE_EXHAUSTED  POSTGRES_EXHAUSTED
//   value out of range, not convertible     INVALID_ARGUMENT    POSTGRES_DATA
//   anything else                           INTERNAL            POSTGRES_ERROR
// `what` says what was being done. Constraint names are kept, values and statements are left out.
absl::Status StatusFrom(const std::exception& error, std::string_view what);

}  // namespace floe::postgres
