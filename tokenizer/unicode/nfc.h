// Normalization Form C (Unicode Standard Annex 15): what the normalizer "NFC" of published
// tokenizer files (Qwen's) does to a text before it is cut. Pure, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace floe::tokenizer {

// True when `text` holds only characters that NFC leaves alone whatever stands around them; false
// says nothing. A look at the lead bytes: everything below U+0300 is such a character.
bool IsPlainlyNfc(std::string_view text);

// `text` in NFC. Bytes that are no UTF-8 stay as they are, and nothing combines across them.
std::string ToNfc(std::string_view text);

// A place at which a text may be cut so that the NFC of its parts is that of the whole.
struct NfcCut {
  size_t original;    // in the text
  size_t normalized;  // the same place in its NFC
};

// The same, with such places in ascending order, both ends among them, in `cuts`: before every
// character that neither composes backwards nor changes places with one before it.
std::string ToNfc(std::string_view text, std::vector<NfcCut>& cuts);

}  // namespace floe::tokenizer
