// Any bytes as text: they come back unchanged, and streamed they are the repaired whole.
#include <cstdint>
#include <cstdlib>

#include "tests/tokenizer/sample_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace floe::tokenizer;
  static const auto gpt2 = SampleTokenizer(Pattern::kGpt2);
  static const auto cl100k = SampleTokenizer(Pattern::kCl100k);
  static const auto qwen2 = SampleTokenizer(Pattern::kQwen2);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Tokenizer* tokenizer : {gpt2.get(), cl100k.get(), qwen2.get()}) {
    const std::vector<TokenId> ids = tokenizer->Encode(text);
    if (tokenizer->Decode(ids).value() != text) std::abort();
    StreamDecoder decoder(*tokenizer);
    std::string streamed;
    for (const TokenId id : ids) {
      if (tokenizer->IsSpecial(id)) std::abort();
      streamed += decoder.Push(id).value();
    }
    if (streamed + decoder.Flush() != ReplaceInvalidUtf8(text)) std::abort();
  }
  return 0;
}
