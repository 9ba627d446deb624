// What a command's end means to a script.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace floe::cli {

enum ExitCode : int {
  kOk = 0,
  kFailed = 1,       // anything not below
  kUsage = 2,        // the command line or what it names is wrong: INVALID_ARGUMENT
  kNotFound = 3,     // there is no such thing, or no fleet
  kPermission = 4,   // no key, or a key without the role
  kUnavailable = 5,  // the fleet, or a part of it, does not answer; trying again may help
  kJobFailed = 6,    // the job that was waited for failed or was cancelled
  kDamaged = 7,      // bytes are not what their digest says: DATA_LOSS
};

ExitCode ExitCodeOf(const absl::Status& status);

// A job that ended without success, as an error of the command that waited for it.
absl::Status JobFailedError(std::string message);

// The table of exit codes for --help.
std::string ExitCodeHelp();

}  // namespace floe::cli
