// A document, and the chunks that it is found by.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "retrieval/names.h"

namespace floe::retrieval {

inline constexpr size_t kMaxDocumentBytes = 4 << 20;
inline constexpr size_t kMaxTitleBytes = 1000;
inline constexpr size_t kMaxSourceBytes = 2000;

enum class Format { kText, kMarkdown, kJsonl };

// `text`, `markdown`, `jsonl`.
std::string_view FormatName(Format format);
absl::StatusOr<Format> FormatFromName(std::string_view name);

// What a client sends.
struct NewDocument {
  std::string id;
  std::string title;
  Format format = Format::kText;
  std::string source;
  std::string content;  // UTF-8
};

// INVALID_ARGUMENT names the document and what is wrong with it.
absl::Status Validate(const NewDocument& document);

struct Document {
  int64_t row = 0;
  DocumentName name;
  std::string title;
  Format format = Format::kText;
  std::string source;
  std::string digest;  // SHA-256 of the content
  int64_t size_bytes = 0;
  int64_t chunks = 0;  // in the searched index
  absl::Time update_time;
};

// A piece of a document. `begin` and `end` are bytes of its content: for text and Markdown the text
// itself, for JSON Lines its form inside the JSON string.
struct Chunk {
  int index = 0;
  int64_t begin = 0;
  int64_t end = 0;
  std::string heading;  // the title and the headings above
  std::string text;
  int tokens = 0;
  bool operator==(const Chunk&) const = default;
};

struct IndexedChunk {
  Chunk chunk;
  std::vector<float> vector;  // of length 1
};

// A document with everything that the searched index holds of it.
struct IndexedDocument {
  NewDocument document;
  std::string digest;
  std::vector<IndexedChunk> chunks;
};

}  // namespace floe::retrieval
