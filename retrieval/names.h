// The names of what retrieval keeps, parsed and written (AIP-122).
//
//   teams/{team}/collections/{collection}/documents/{document}
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe::retrieval {

struct CollectionName {
  std::string team;
  std::string id;
  bool operator==(const CollectionName&) const = default;
};

struct DocumentName {
  CollectionName collection;
  std::string id;
  bool operator==(const DocumentName&) const = default;
};

// INVALID_ARGUMENT says what form is expected.
absl::StatusOr<std::string> ParseTeam(std::string_view name);
absl::StatusOr<CollectionName> ParseCollection(std::string_view name);
absl::StatusOr<DocumentName> ParseDocument(std::string_view name);

std::string ToString(const CollectionName& name);
std::string ToString(const DocumentName& name);

// OK, or INVALID_ARGUMENT naming `field`: an id that a person chooses.
absl::Status CheckId(std::string_view field, std::string_view id);

}  // namespace floe::retrieval
