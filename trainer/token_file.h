// Token ids in a file, mapped read-only. 32-byte header: "FLOETOK1", bytes a token (2 or 4) and
// vocabulary size as u32, token count as u64, 8 zero bytes; then the ids, little-endian.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/files.h"

namespace floe::trainer {

// What the header of a token file says.
struct TokenLayout {
  int64_t count = 0;
  int64_t vocab_size = 0;
  int width = 0;  // bytes a token
};

// Of a whole token file: a pure function, which reads it through once. DATA_LOSS when the header is
// not that of a token file, the length does not fit it, or an id is not below vocab_size.
absl::StatusOr<TokenLayout> ParseTokenFile(std::string_view bytes);

// Immutable; thread-safe. Movable.
class TokenFile {
 public:
  // DATA_LOSS as ParseTokenFile says: who reads may index by any id.
  static absl::StatusOr<TokenFile> Open(const std::filesystem::path& path);

  int64_t size() const { return layout_.count; }
  int64_t vocab_size() const { return layout_.vocab_size; }
  // Copies tokens [first, first + count) to `to`; the range must lie inside.
  void Read(int64_t first, int64_t count, int64_t* to) const;

 private:
  MappedFile file_;
  TokenLayout layout_;
};

// Writes a token file front to back; it appears under its name only at Finish(). Not thread-safe.
class TokenFileWriter {
 public:
  static absl::StatusOr<TokenFileWriter> Create(const std::filesystem::path& path,
                                                int64_t vocab_size);
  TokenFileWriter(TokenFileWriter&&) = default;
  TokenFileWriter& operator=(TokenFileWriter&&) = default;
  ~TokenFileWriter();

  // Ids must be below vocab_size. RESOURCE_EXHAUSTED when the disk is full.
  absl::Status Append(std::span<const int32_t> ids);
  absl::Status Finish();
  int64_t count() const { return count_; }

 private:
  struct Closer {
    void operator()(FILE* file) const { fclose(file); }
  };
  TokenFileWriter(std::filesystem::path path, int64_t vocab_size);
  absl::Status WriteHeader();
  absl::Status Write(const void* bytes, size_t size);

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::unique_ptr<FILE, Closer> file_;
  int64_t vocab_size_ = 0;
  int64_t count_ = 0;
};

}  // namespace floe::trainer
