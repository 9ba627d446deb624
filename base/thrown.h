// The border of exceptions that nobody means to throw: memory and threads that are not to be had.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace floe {

// Inside a catch block: what was thrown, as a status that begins with `what`. RESOURCE_EXHAUSTED
// when the machine gives no more memory or threads, else INTERNAL.
absl::Status StatusOfThrown(std::string_view what);

}  // namespace floe
