// `floe`, from its words to its exit code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/door/session.h"

namespace floe::cli {

// `words` without the program's name; `folder` is the current one. Errors are written to
// streams.err, for people or (with --json) as one JSON object. Gives the exit code
// (output/exit_code.h).
int RunProgram(const std::vector<std::string>& words, const Streams& streams,
               const Environment& environment, const std::filesystem::path& folder);

}  // namespace floe::cli
