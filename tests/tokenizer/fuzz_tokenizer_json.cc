// Any bytes as a tokenizer.json: refused, or loaded into a tokenizer that is lossless, writes
// itself and finds its added tokens in any text.
#include <cstdint>
#include <cstdlib>
#include <vector>

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
  std::vector<uint64_t> ends;
  const auto with_added = (*tokenizer)->EncodeWithSpecials(text, ends);
  if ((*again)->EncodeWithSpecials(text) != with_added || ends.size() != with_added.size()) {
    std::abort();
  }
  return 0;
}
