// Model versions as people write them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/door/door.h"

namespace floe::cli {

inline constexpr char kModelReference[] =
    "MODEL, MODEL@ALIAS, MODEL@3, MODEL@latest, MODEL@sha256:… or sha256:…";

// `hamlet`, `hamlet@production`, `hamlet@3`, `hamlet@latest`, `sha256:…`, or a version's resource
// name. A bare name means the alias `production`, or, while there is none, the newest version.
absl::StatusOr<registry::v1::ModelVersion> ResolveVersion(Door& door, const std::string& reference);

// teams/nlp/models/hamlet from teams/nlp/models/hamlet/versions/7.
std::string ModelOf(const std::string& version_name);
// hamlet@7 from the same.
std::string ShortVersion(const std::string& version_name);

}  // namespace floe::cli
