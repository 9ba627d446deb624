// Debian builds Abseil with its own string_view type. The tree speaks std::string_view; these two
// carry a view across the border to Abseil's functions and back, without a copy.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace floe {

inline absl::string_view AbslView(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view StdView(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace floe
