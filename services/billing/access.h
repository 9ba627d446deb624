// Who may see and do what in billing. The gateway has checked key and role; here it is about whose
// numbers they are.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "services/runtime/call.h"

namespace floe::services::billing {

// Sees all teams: a service of the fleet on its own behalf, and admins of the operator's team
// (`default`).
bool IsOperator(const runtime::CallIdentity& identity);

// Whether the operator or a service of the fleet (empty) made what this team made.
bool IsOperatorTeam(std::string_view team);

// The team that a call is about: `wanted`, or for an empty one the caller's own (all, for an
// operator). PERMISSION_DENIED for another team's.
absl::StatusOr<std::string> TeamOf(const runtime::CallIdentity& identity, std::string_view wanted);

// PERMISSION_DENIED says what is missing. `what` continues "only … may".
absl::Status RequireOperator(const runtime::CallIdentity& identity, std::string_view what);
absl::Status RequireService(const runtime::CallIdentity& identity, std::string_view what);
absl::Status RequireAdmin(const runtime::CallIdentity& identity, std::string_view what);

// A page of a list that is ordered and only grows at its end: tokens are offsets.
struct Page {
  int limit = 50;
  int64_t offset = 0;
};
absl::StatusOr<Page> ReadPage(int page_size, std::string_view page_token, int usual = 50,
                              int most = 1000);
std::string NextToken(const Page& page);

}  // namespace floe::services::billing
