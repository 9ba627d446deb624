// The policy that a new fleet begins with.
#pragma once

#include <string_view>

namespace floe::cli {

std::string_view DefaultPolicy();  // default_policy.yaml

}  // namespace floe::cli
