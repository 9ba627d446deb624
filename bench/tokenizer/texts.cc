#include "bench/tokenizer/texts.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/documents.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {

constexpr size_t kMegabyte = 1000000;

absl::Status Add(std::string_view text, Corpus& corpus) {
  return ForEachDocument(text, TextFormat::kText, [&](std::string_view document) {
    corpus.documents.emplace_back(document);
    corpus.megabytes += static_cast<double>(document.size()) / 1e6;
    return absl::OkStatus();
  });
}

}  // namespace

std::string Corpus::Text() const {
  std::string text;
  for (const std::string& document : documents) text += document + "\n\n";
  return text;
}

absl::StatusOr<Corpus> LoadCorpus(const std::filesystem::path& file, size_t max_bytes) {
  FLOE_ASSIGN_OR_RETURN(const MappedFile mapped, MappedFile::Open(file));
  std::string_view text = mapped.bytes().substr(0, max_bytes);
  text.remove_suffix(IncompleteUtf8Tail(text));
  Corpus corpus;
  FLOE_RETURN_IF_ERROR(Add(text, corpus));
  return corpus;
}

absl::StatusOr<Corpus> LoadFolder(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot list ", folder.string()));
  std::sort(files.begin(), files.end());
  Corpus corpus;
  for (const auto& file : files) {
    FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
    FLOE_RETURN_IF_ERROR(Add(ReplaceInvalidUtf8(text), corpus));
  }
  return corpus;
}

absl::StatusOr<Corpus> WordNet() {
  std::string text;
  int glosses = 0;
  for (const char* part : {"noun", "verb", "adj", "adv"}) {
    const std::string path = absl::StrCat("/usr/share/wordnet/data.", part);
    auto file = ReadFile(path);
    if (!file.ok()) {
      return absl::NotFoundError(
          absl::StrCat(path, " is missing: apt-get install wordnet-base, or --corpus FILE"));
    }
    for (std::string_view rest = *file; !rest.empty();) {
      const size_t end = std::min(rest.find('\n'), rest.size() - 1);
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end + 1);
      const size_t bar = line.find("| ");
      if (bar == std::string_view::npos) continue;
      absl::StrAppend(&text, AbslView(line.substr(bar + 2)), ++glosses % 50 == 0 ? "\n\n" : "\n");
    }
  }
  Corpus corpus;
  FLOE_RETURN_IF_ERROR(Add(text, corpus));
  return corpus;
}

std::vector<WorstCase> WorstCases() {
  std::mt19937 random(1);
  std::string bytes(kMegabyte, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return {{"1 MB of one letter", std::string(kMegabyte, 'a'), true},
          {"1 MB of spaces", std::string(kMegabyte, ' '), true},
          {"1 MB of random bytes", std::move(bytes), false}};
}

}  // namespace floe::tokenizer
