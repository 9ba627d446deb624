#include "retrieval/names.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::retrieval {

absl::StatusOr<std::string> ParseTeam(std::string_view name) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(name, {"teams"}));
  return std::move(ids[0]);
}

absl::StatusOr<CollectionName> ParseCollection(std::string_view name) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(name, {"teams", "collections"}));
  return CollectionName{std::move(ids[0]), std::move(ids[1])};
}

absl::StatusOr<DocumentName> ParseDocument(std::string_view name) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(name, {"teams", "collections", "documents"}));
  return DocumentName{{std::move(ids[0]), std::move(ids[1])}, std::move(ids[2])};
}

std::string ToString(const CollectionName& name) {
  return absl::StrCat("teams/", name.team, "/collections/", name.id);
}

std::string ToString(const DocumentName& name) {
  return absl::StrCat(ToString(name.collection), "/documents/", name.id);
}

absl::Status CheckId(std::string_view field, std::string_view id) {
  if (IsResourceId(id)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(field), " is '", absl::Utf8SafeCHexEscape(AbslView(id.substr(0, 200))),
                   "'; an id is 1 to 63 of a-z 0-9 - _ . and starts with a letter or digit"));
}

}  // namespace floe::retrieval
