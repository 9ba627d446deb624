#include "tokenizer/unicode/char_class.h"

#include <algorithm>
#include <iterator>

namespace floe::tokenizer {
namespace {
#include "tokenizer/unicode_tables.inc"

// The class in the two low bits, the side above them.
uint32_t EntryOf(char32_t code_point) {
  if (code_point > 0x10FFFF) return 0;
  return kBlocks[kBlockOf[code_point >> 7] * 128u + (code_point & 127)];
}
}  // namespace

CharClass ClassOf(char32_t code_point) { return static_cast<CharClass>(EntryOf(code_point) & 3); }

WordSide SideOf(char32_t code_point) { return static_cast<WordSide>(EntryOf(code_point) >> 2); }

bool IsWordCharacter(char32_t code_point) {
  const auto* above =
      std::upper_bound(std::begin(kWordBorders), std::end(kWordBorders), code_point);
  return (above - std::begin(kWordBorders)) % 2 == 1;
}

}  // namespace floe::tokenizer
