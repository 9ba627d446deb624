// Any bytes as a document; the first byte says of which format. Refused, or sections and chunks
// that are found again at their places in it.
#include <string>

#include "retrieval/chunker.h"
#include "retrieval/json_string.h"
#include "retrieval/sections.h"
#include "tests/support/fuzzing.h"
#include "tests/tokenizer/sample_tokenizer.h"

namespace {

using namespace floe::retrieval;
using floe::test::Require;

// What stands between two places of the document, as text.
std::string Between(const NewDocument& document, int64_t begin, int64_t end) {
  Require(0 <= begin && begin <= end && end <= std::ssize(document.content));
  const std::string_view there =
      std::string_view(document.content)
          .substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  return document.format == Format::kJsonl ? UnescapeJson(there).text : std::string(there);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tokenizer = floe::tokenizer::SampleTokenizer();
  if (size == 0) return 0;
  constexpr Format kFormats[] = {Format::kText, Format::kMarkdown, Format::kJsonl};
  NewDocument document{.id = "d", .title = "Title", .format = kFormats[data[0] % 3]};
  document.content = floe::test::AsText(data + 1, size - 1);
  if (!Validate(document).ok()) return 0;
  const auto sections = SectionsOf(document);
  const ChunkLimits limits{.chunk_tokens = 8, .overlap_tokens = 2};
  const auto chunks = ChunksOf(document, *tokenizer, limits);
  if (!sections.ok()) {
    Require(absl::IsInvalidArgument(sections.status()) && !chunks.ok());
    return 0;
  }
  for (const Section& section : *sections) {
    const int64_t begin = section.PlaceOf(0), end = section.PlaceOf(section.text.size());
    Require(Between(document, begin, end) == section.text);
  }
  Require(chunks.ok());
  for (const Chunk& chunk : *chunks) {
    Require(!chunk.text.empty() && chunk.tokens <= limits.chunk_tokens);
    Require(Between(document, chunk.begin, chunk.end) == chunk.text);
    Require(tokenizer->Count(chunk.text) == static_cast<size_t>(chunk.tokens));
  }
  return 0;
}
