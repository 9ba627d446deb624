// The texts that the tokenizer's bench reads.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace floe::tokenizer {

// Documents and what they weigh.
struct Corpus {
  std::vector<std::string> documents;
  double megabytes = 0;

  // The documents with blank lines between them, as both sides read them.
  std::string Text() const;
};

// The documents of a text file, at most its first `max_bytes`; errors as of reading.
absl::StatusOr<Corpus> LoadCorpus(const std::filesystem::path& file, size_t max_bytes);
// Of every *.txt of a folder, one after another.
absl::StatusOr<Corpus> LoadFolder(const std::filesystem::path& folder);
// The glosses of WordNet's data files, a document of fifty each.
absl::StatusOr<Corpus> WordNet();

// What makes an encoder slow that is not linear: a megabyte each.
struct WorstCase {
  std::string name;
  std::string text;
  bool utf8;
};
std::vector<WorstCase> WorstCases();

}  // namespace floe::tokenizer
