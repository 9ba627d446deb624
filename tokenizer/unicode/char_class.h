// The three Unicode classes that pre-tokenisation asks for, from the Unicode Character Database of
// the build machine (Debian's unicode-data). Pure, thread-safe.
#pragma once

#include <cstdint>

namespace floe::tokenizer {

enum class CharClass : uint8_t {
  kOther = 0,   // [^\s\p{L}\p{N}]
  kLetter = 1,  // \p{L}
  kNumber = 2,  // \p{N}
  kSpace = 3,   // \s: the property White_Space
};

// kOther for anything above U+10FFFF.
CharClass ClassOf(char32_t code_point);

}  // namespace floe::tokenizer
