// The path of a request line. Pure.
#pragma once

#include <string>
#include <string_view>

namespace floe::gateway {

// Without query and fragment, %XX decoded; broken escapes stay as they are. Absolute targets
// (`http://host/path`) give their path.
std::string PathOfTarget(std::string_view target);

}  // namespace floe::gateway
