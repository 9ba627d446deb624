// Used by schema_reader*.cc alone: the keywords of a schema, and small questions about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "inference/grammar/bounded_json.h"

namespace floe::inference::grammar {

// Says something about values without constraining them.
bool IsDescribing(std::string_view keyword);
// The type ("string", "number", "array", "object") whose values a keyword constrains; empty for a
// keyword that is none of those.
std::string_view TypeOfKeyword(std::string_view keyword);

// The types that a schema's `type` names, or that its keywords are about; empty: any.
// INVALID_ARGUMENT for what is no type.
absl::StatusOr<std::vector<std::string>> TypesOf(const Json& schema);
bool IsOfType(const Json& value, std::string_view type);

// No value can be one of both schemas: they are of different types, or objects of which a required
// property tells them apart.
bool AreDisjoint(const Json& a, const Json& b);

// The number of a keyword that counts; nothing where it is not there. INVALID_ARGUMENT.
absl::StatusOr<std::optional<int>> CountOf(const Json& schema, const char* keyword);

// The regular expression of a `format` that is enforced; empty for others.
std::string PatternOfFormat(std::string_view format);

}  // namespace floe::inference::grammar
