#include "registry/caller.h"

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::registry {

absl::Status NotFound(std::string_view name) {
  return WithReason(absl::NotFoundError(absl::StrCat(
                        "there is no ", AbslView(name),
                        " that this team may use; check the name and the team of the key")),
                    "RESOURCE_NOT_FOUND", {{"name", std::string(name)}});
}

absl::Status CheckOwner(const Caller& caller, std::string_view team, std::string_view name) {
  return caller.team.empty() || caller.team == team ? absl::OkStatus() : NotFound(name);
}

absl::Status CheckText(std::string_view field, std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(AbslView(field), " has ", text.size(),
                                                   " bytes; at most ", max_bytes, " are kept"));
  }
  if (text.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(AbslView(field), " contains a NUL character; send text without it"));
  }
  return absl::OkStatus();
}

}  // namespace floe::registry
