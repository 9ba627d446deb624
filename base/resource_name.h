// Resource names in the manner of AIP-122: collection/id pairs,
// `teams/nlp/models/hamlet/versions/7`.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace floe {

// The ids of `name` when its collections are exactly `collections`, in order:
// ParseResourceName("teams/nlp/models/hamlet", {"teams", "models"}) is {"nlp", "hamlet"}.
// INVALID_ARGUMENT names what is expected.
absl::StatusOr<std::vector<std::string>> ParseResourceName(
    std::string_view name, std::initializer_list<std::string_view> collections);

// An id that a person chooses: 1 to 63 of [a-z0-9-_.], starting with a letter or digit.
bool IsResourceId(std::string_view id);

}  // namespace floe
