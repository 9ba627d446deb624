// The Unicode classes that pre-tokenisation asks for, from the Unicode Character Database of
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

// On which side of o200k's words a symbol may stand: [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] in front,
// [\p{Ll}\p{Lm}\p{Lo}\p{M}] behind.
enum class WordSide : uint8_t {
  kNone = 0,
  kFront = 1,   // \p{Lu}, \p{Lt}
  kBehind = 2,  // \p{Ll}
  kBoth = 3,    // \p{Lm}, \p{Lo}, \p{M}
};

// kOther and kNone for anything above U+10FFFF.
CharClass ClassOf(char32_t code_point);
WordSide SideOf(char32_t code_point);

// \w: the property Alphabetic, \p{M}, \p{Nd}, \p{Pc} and Join_Control (Unicode Technical Standard
// 18, annex C). False for anything above U+10FFFF.
bool IsWordCharacter(char32_t code_point);

}  // namespace floe::tokenizer
