#include "tokenizer/unicode/char_class.h"

namespace floe::tokenizer {
namespace {
#include "tokenizer/unicode_tables.inc"
}  // namespace

CharClass ClassOf(char32_t code_point) {
  if (code_point > 0x10FFFF) return CharClass::kOther;
  const uint32_t block = kBlockOf[code_point >> 7];
  return static_cast<CharClass>(kBlocks[block * 128 + (code_point & 127)]);
}

}  // namespace floe::tokenizer
