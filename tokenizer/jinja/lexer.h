// A template's source as tokens, with the whitespace control of Jinja2 as transformers sets it:
// trim_blocks, lstrip_blocks, and no line break at the end.
//
// Pure, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace floe::tokenizer::jinja {

inline constexpr size_t kMaxTemplateBytes = 256 << 10;

enum class TokenKind {
  kData,  // text outside of tags
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kOperator,
  kString,  // its value, escapes resolved
  kInteger,
  kFloat,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string text;
  int line = 1;
};

// INVALID_ARGUMENT with the line, for what is not closed and for characters without a meaning; the
// last token is kEnd.
absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace floe::tokenizer::jinja
