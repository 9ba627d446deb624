// Any bytes as a corpus, in each of the two formats: refused, or documents as the format promises
// them, which come back when they are written as JSON Lines.
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

#include "tests/support/fuzzing.h"
#include "tokenizer/documents.h"
#include "tokenizer/unicode/utf8.h"

namespace {

using floe::test::Require;
using floe::tokenizer::TextFormat;

absl::Status Read(std::string_view file, TextFormat format, std::vector<std::string>& documents) {
  return ForEachDocument(file, format, [&](std::string_view document) {
    documents.emplace_back(document);
    return absl::OkStatus();
  });
}

bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t\r\f\v") == line.npos; }

void Check(std::string_view file, TextFormat format) {
  std::vector<std::string> documents;
  const absl::Status status = Read(file, format, documents);
  const auto measured = MeasureCorpus(file, format);
  Require(measured.ok() == status.ok());
  if (!status.ok()) return;
  Require(!documents.empty() && measured->documents == std::ssize(documents));
  int64_t bytes = 0;
  std::string lines;
  for (const std::string& document : documents) {
    Require(!document.empty());
    Require(floe::tokenizer::ReplaceInvalidUtf8(document) == document);
    if (format == TextFormat::kText) {
      const std::string_view text = document;
      Require(!IsBlank(text.substr(0, text.find('\n'))));
      Require(!IsBlank(text.substr(text.rfind('\n') + 1)));
    }
    bytes += std::ssize(document);
    lines += nlohmann::json{{"text", document}}.dump() + "\n";
  }
  Require(measured->bytes == bytes);
  std::vector<std::string> again;
  Require(Read(lines, TextFormat::kJsonl, again).ok() && again == documents);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file = floe::test::AsText(data, size);
  Check(file, TextFormat::kText);
  Check(file, TextFormat::kJsonl);
  return 0;
}
