#include "gateway/auth/role.h"

#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::gateway {

absl::StatusOr<Role> ParseRole(std::string_view name) {
  for (const Role role : {Role::kViewer, Role::kConsumer, Role::kDeveloper, Role::kAdmin}) {
    if (name == RoleName(role)) return role;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no role `", AbslView(name.substr(0, 40)),
                   "`; it is one of viewer, consumer, developer, admin"));
}

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kConsumer:
      return "consumer";
    case Role::kDeveloper:
      return "developer";
    case Role::kAdmin:
      return "admin";
  }
  return "unknown";
}

}  // namespace floe::gateway
