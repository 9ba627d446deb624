// Tokens to a tree. What is outside the subset is refused here, by name and line, so a template
// that loads has no filter, test, function, method or statement that rendering does not know.
//
// Pure, thread-safe.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

#include "tokenizer/jinja/ast.h"

namespace floe::tokenizer::jinja {

struct Parsed {
  Block body;
  bool has_generation = false;
};

// INVALID_ARGUMENT: "filter 'wordwrap' (line 3) is not supported; …".
absl::StatusOr<Parsed> Parse(std::string_view source);

}  // namespace floe::tokenizer::jinja
