#include "trainer/token_file.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::trainer {
namespace {

static_assert(std::endian::native == std::endian::little);

struct Header {
  char magic[8] = {'F', 'L', 'O', 'E', 'T', 'O', 'K', '1'};
  uint32_t width = 0;
  uint32_t vocab_size = 0;
  uint64_t count = 0;
  uint64_t reserved = 0;
};
static_assert(sizeof(Header) == 32);

constexpr int64_t kNarrow = 1 << 16;  // ids of such a vocabulary fit two bytes

// The largest of `count` ids, read as they lie.
template <typename Id>
int64_t LargestId(const char* data, int64_t count) {
  Id largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    Id id;
    std::memcpy(&id, data + static_cast<size_t>(i) * sizeof(Id), sizeof(Id));
    largest = std::max(largest, id);
  }
  return largest;
}

}  // namespace

absl::StatusOr<TokenLayout> ParseTokenFile(std::string_view bytes) {
  Header header;
  const Header expected;
  if (bytes.size() >= sizeof(header)) std::memcpy(&header, bytes.data(), sizeof(header));
  const bool known = bytes.size() >= sizeof(header) &&
                     std::memcmp(header.magic, expected.magic, sizeof(header.magic)) == 0 &&
                     (header.width == 2 || header.width == 4) && header.count < (uint64_t{1} << 48);
  if (!known || bytes.size() != sizeof(header) + header.count * header.width) {
    return absl::DataLossError("is not a whole token file");
  }
  const TokenLayout layout{static_cast<int64_t>(header.count), header.vocab_size,
                           static_cast<int>(header.width)};
  const char* data = bytes.data() + sizeof(header);
  const int64_t largest = layout.width == 4 ? LargestId<uint32_t>(data, layout.count)
                                            : LargestId<uint16_t>(data, layout.count);
  if (layout.count > 0 && largest >= layout.vocab_size) {
    return absl::DataLossError(
        absl::StrCat("holds the id ", largest, ", outside its vocabulary of ", layout.vocab_size));
  }
  return layout;
}

absl::StatusOr<TokenFile> TokenFile::Open(const std::filesystem::path& path) {
  TokenFile tokens;
  FLOE_ASSIGN_OR_RETURN(tokens.file_, MappedFile::Open(path));
  const auto layout = ParseTokenFile(tokens.file_.bytes());
  if (!layout.ok()) {
    return absl::DataLossError(absl::StrCat(path.string(), " ", layout.status().message(),
                                            "; delete it, and it is made from the corpus again"));
  }
  tokens.layout_ = *layout;
  return tokens;
}

void TokenFile::Read(int64_t first, int64_t count, int64_t* to) const {
  const char* data = file_.bytes().data() + sizeof(Header);
  for (int64_t i = 0; i < count; ++i) {
    if (layout_.width == 4) {
      uint32_t id;
      std::memcpy(&id, data + (first + i) * 4, 4);
      to[i] = id;
    } else {
      uint16_t id;
      std::memcpy(&id, data + (first + i) * 2, 2);
      to[i] = id;
    }
  }
}

TokenFileWriter::TokenFileWriter(std::filesystem::path path, int64_t vocab_size)
    : path_(std::move(path)), temporary_(path_.string() + ".tmp"), vocab_size_(vocab_size) {}

TokenFileWriter::~TokenFileWriter() {
  if (file_ != nullptr) ::unlink(temporary_.c_str());
}

absl::StatusOr<TokenFileWriter> TokenFileWriter::Create(const std::filesystem::path& path,
                                                        int64_t vocab_size) {
  TokenFileWriter writer(path, vocab_size);
  writer.file_.reset(fopen(writer.temporary_.c_str(), "wbe"));
  if (writer.file_ == nullptr) {
    return ErrnoStatus(errno, "cannot write " + writer.temporary_.string());
  }
  FLOE_RETURN_IF_ERROR(writer.WriteHeader());
  return writer;
}

absl::Status TokenFileWriter::WriteHeader() {
  Header header;
  header.width = vocab_size_ <= kNarrow ? 2 : 4;
  header.vocab_size = static_cast<uint32_t>(vocab_size_);
  header.count = static_cast<uint64_t>(count_);
  return Write(&header, sizeof(header));
}

absl::Status TokenFileWriter::Write(const void* bytes, size_t size) {
  if (fwrite(bytes, 1, size, file_.get()) != size) {
    return ErrnoStatus(errno, "cannot write " + temporary_.string());
  }
  return absl::OkStatus();
}

absl::Status TokenFileWriter::Append(std::span<const int32_t> ids) {
  std::vector<uint16_t> narrow;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size_) {
      return absl::InternalError(
          absl::StrCat("token ", id, " is outside the vocabulary of ", vocab_size_));
    }
    narrow.push_back(static_cast<uint16_t>(id));
  }
  count_ += static_cast<int64_t>(ids.size());
  if (vocab_size_ > kNarrow) return Write(ids.data(), ids.size_bytes());
  return Write(narrow.data(), narrow.size() * sizeof(uint16_t));
}

absl::Status TokenFileWriter::Finish() {
  const std::string what = "cannot write " + temporary_.string();
  if (fseek(file_.get(), 0, SEEK_SET) != 0) return ErrnoStatus(errno, what);
  FLOE_RETURN_IF_ERROR(WriteHeader());
  if (fflush(file_.get()) != 0 || fsync(fileno(file_.get())) != 0) return ErrnoStatus(errno, what);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return ErrnoStatus(errno, what);
  file_.reset();
  return SyncPath(path_.parent_path());
}

}  // namespace floe::trainer
