// The name of a process that keeps a journal: it lives in the journal's folder and goes with it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "base/id.h"

namespace floe::usage {

// The folder's name; `<kind>-<id>` from the first time on. The folder must exist.
absl::StatusOr<std::string> LastingName(const std::filesystem::path& folder, std::string_view kind,
                                        IdGenerator& ids);

}  // namespace floe::usage
