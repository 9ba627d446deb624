// UTF-8 (RFC 3629): reading one character, and repairing what is not UTF-8. Pure, thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace floe::tokenizer {

struct Utf8Char {
  char32_t code_point;  // kNotUtf8 for a byte that starts no character
  size_t length;        // in bytes; 1 for such a byte
};
inline constexpr char32_t kNotUtf8 = 0xFFFFFFFF;

// The character at `position` < text.size(). Overlong forms, surrogates and code points above
// U+10FFFF are no characters.
Utf8Char ReadUtf8(std::string_view text, size_t position);

// The character that ends at `end` > 0.
Utf8Char ReadUtf8Before(std::string_view text, size_t end);

// The length of a tail that may still become a character when more bytes follow: 0 to 3.
size_t IncompleteUtf8Tail(std::string_view text);

// `text` with each maximal ill-formed part replaced by one U+FFFD (the practice of Unicode
// 15, 3.9).
std::string ReplaceInvalidUtf8(std::string_view text);

// The UTF-8 form of a code point up to U+10FFFF, appended to `out`.
void AppendUtf8(char32_t code_point, std::string& out);

}  // namespace floe::tokenizer
