#include "services/billing/access.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::services::billing {
namespace {

constexpr char kOperatorTeam[] = "default";
constexpr char kAdmin[] = "admin";

absl::Status Denied(std::string_view who, std::string_view what) {
  return absl::PermissionDeniedError(absl::StrCat("only ", AbslView(who), " may ", AbslView(what)));
}

}  // namespace

bool IsOperator(const runtime::CallIdentity& identity) {
  return identity.team.empty() || (identity.team == kOperatorTeam && identity.role == kAdmin);
}

bool IsOperatorTeam(std::string_view team) { return team.empty() || team == kOperatorTeam; }

absl::StatusOr<std::string> TeamOf(const runtime::CallIdentity& identity, std::string_view wanted) {
  if (IsOperator(identity) || wanted == identity.team) return std::string(wanted);
  if (wanted.empty()) return identity.team;
  return absl::PermissionDeniedError(absl::StrCat("this key is of team ", identity.team,
                                                  "; it does not see team ",
                                                  AbslView(wanted.substr(0, 64))));
}

absl::Status RequireOperator(const runtime::CallIdentity& identity, std::string_view what) {
  if (IsOperator(identity)) return absl::OkStatus();
  return Denied(absl::StrCat("an admin of team ", kOperatorTeam), what);
}

absl::Status RequireService(const runtime::CallIdentity& identity, std::string_view what) {
  if (identity.team.empty()) return absl::OkStatus();
  return Denied("the fleet's own services", what);
}

absl::Status RequireAdmin(const runtime::CallIdentity& identity, std::string_view what) {
  if (identity.team.empty() || identity.role == kAdmin) return absl::OkStatus();
  return Denied("an admin", what);
}

absl::StatusOr<Page> ReadPage(int page_size, std::string_view page_token, int usual, int most) {
  Page page{.limit = page_size == 0 ? usual : std::min(page_size, most)};
  if (page_size < 0) {
    return absl::InvalidArgumentError(absl::StrCat("page_size is ", page_size));
  }
  if (!page_token.empty() &&
      (!absl::SimpleAtoi(AbslView(page_token), &page.offset) || page.offset < 0)) {
    return absl::InvalidArgumentError("page_token is not one of a previous answer");
  }
  return page;
}

std::string NextToken(const Page& page) { return absl::StrCat(page.offset + page.limit); }

}  // namespace floe::services::billing
