// Files of a person as documents of a collection. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "floe/retrieval/v1/retrieval.pb.h"

namespace floe::cli {

using NewDocument = retrieval::v1::IngestDocumentsRequest::NewDocument;

// An id of what a person calls a thing: `My Notes (2).md` is `my-notes-2-.md`. Never empty.
std::string DocumentIdOf(std::string_view name);

// By the end of the file's name: .md and .markdown, .jsonl and .ndjson, else text.
retrieval::v1::Document::Format FormatOfFile(std::string_view name);

// Every line of a JSON Lines file as a document of plain text: its `text`, its `title`, and its
// `id` (else <stem>-<line number>). INVALID_ARGUMENT names the line that is not an object with a
// string `text`.
absl::StatusOr<std::vector<NewDocument>> SplitJsonLines(std::string_view file,
                                                        std::string_view stem);

struct KnownQuestion {
  std::string question;
  std::string answer;
};

// {"question": …, "answer": …} a line. INVALID_ARGUMENT names the line that is none.
absl::StatusOr<std::vector<KnownQuestion>> ReadQuestions(std::string_view file);

}  // namespace floe::cli
