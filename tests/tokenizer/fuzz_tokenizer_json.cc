// Any bytes as a tokenizer.json: refused, or loaded into a tokenizer that is lossless and writes
// itself.
#include <cstdint>
#include <cstdlib>

#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode/nfc.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = floe::tokenizer::Tokenizer::Load(text);
  if (!tokenizer.ok()) return 0;
  const auto back = (*tokenizer)->Decode((*tokenizer)->Encode(text));
  const bool nfc = (*tokenizer)->vocabulary().normalize_nfc;
  if (!back.ok() || *back != (nfc ? floe::tokenizer::ToNfc(text) : std::string(text))) std::abort();
  const auto again = floe::tokenizer::Tokenizer::Load((*tokenizer)->ToJson());
  if (!again.ok() || (*again)->Encode(text) != (*tokenizer)->Encode(text)) std::abort();
  return 0;
}
