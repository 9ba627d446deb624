// A dataset's file as documents: the two formats that the registry knows.
//
//   text    plain text; blank lines (nothing but spaces) separate documents
//   jsonl   one JSON object a line, whose member "text" is the document
//
// Pure, thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe::tokenizer {

enum class TextFormat { kText, kJsonl };

std::optional<TextFormat> TextFormatFromName(std::string_view name);

// Calls `visit` for every document in order; the view lives for that call only. Documents carry no
// blank lines around them and are never empty. Stops at the first error of `visit`.
// INVALID_ARGUMENT names the line that is not UTF-8, is no such JSON, or, when there is not a
// single document, says that the file is empty.
absl::Status ForEachDocument(std::string_view file, TextFormat format,
                             const std::function<absl::Status(std::string_view)>& visit);

struct CorpusSize {
  int64_t bytes = 0;  // of the documents
  int64_t documents = 0;
};

// Visits the whole file, so a file that measures well can be trained on.
absl::StatusOr<CorpusSize> MeasureCorpus(std::string_view file, TextFormat format);

}  // namespace floe::tokenizer
