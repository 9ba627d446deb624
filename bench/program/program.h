// What every program here does with its command line and with how its work ends.
#pragma once

#include <functional>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"

namespace floe::bench {

// Reads the command line that `app` describes, then does `work`, and gives the program's exit code:
// 0 when the work is done or --help was asked for (which is answered on standard output), 1 when
// the work failed (its message on standard error), 2 when the command line is not understood (the
// mistake and what is known, on standard error).
int Main(CLI::App& app, int argc, const char* const* argv,
         const std::function<absl::Status()>& work);

}  // namespace floe::bench
