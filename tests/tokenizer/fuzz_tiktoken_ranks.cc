// Any bytes as a rank file: refused, or a vocabulary that is lossless and writes itself as JSON.
#include <cstdint>
#include <cstdlib>

#include "tokenizer/tiktoken_ranks.h"
#include "tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace floe::tokenizer;
  // The bytes stand in front, without which every file is refused for them.
  static const std::string* const kBytes = [] {
    auto* file = new std::string;
    constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int byte = 0; byte < 256; ++byte) {
      *file += {kDigits[byte >> 2], kDigits[(byte & 3) << 4], '=', '='};
      file->append(" ").append(std::to_string(byte)).append("\n");
    }
    return file;
  }();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::string& file : {std::string(text), *kBytes + std::string(text)}) {
    auto vocabulary = ParseTiktokenRanks(file, {});
    if (!vocabulary.ok()) continue;
    const auto tokenizer = Tokenizer::Create(*std::move(vocabulary));
    if (!tokenizer.ok()) std::abort();
    const auto back = (*tokenizer)->Decode((*tokenizer)->Encode(text));
    if (!back.ok() || *back != text) std::abort();
    if (!Tokenizer::Load((*tokenizer)->ToJson()).ok()) std::abort();
  }
  return 0;
}
