#include "trainer/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::trainer {
namespace {

static_assert(std::endian::native == std::endian::little);
constexpr std::string_view kMagic = "FLOESTA1";
constexpr size_t kDigestBytes = 64;
constexpr uint64_t kMaxHeaderBytes = 64 << 20;

// A file being written, with the digest of what went in.
class HashingFile {
 public:
  explicit HashingFile(const std::filesystem::path& path)
      : what_("cannot write " + path.string()),
        fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (fd_ < 0) status_ = ErrnoStatus(errno, what_);
  }
  HashingFile(const HashingFile&) = delete;
  HashingFile& operator=(const HashingFile&) = delete;
  ~HashingFile() {
    if (fd_ >= 0) ::close(fd_);
  }

  void Write(std::string_view bytes) {
    hash_.Update(bytes);
    WriteRaw(bytes);
  }

  // Writes the digest behind the rest, and syncs.
  absl::Status Finish() {
    WriteRaw(hash_.FinishHex());
    if (status_.ok() && ::fsync(fd_) != 0) status_ = ErrnoStatus(errno, what_);
    return status_;
  }

 private:
  void WriteRaw(std::string_view bytes) {
    while (status_.ok() && !bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        status_ = ErrnoStatus(errno, what_);
      } else {
        bytes.remove_prefix(static_cast<size_t>(n));
      }
    }
  }

  const std::string what_;
  const int fd_;
  absl::Status status_;
  Sha256 hash_;
};

std::string HeaderOf(const TrainingPosition& position, const std::vector<StateTensor>& tensors) {
  StateHeader header{position, {}};
  for (const StateTensor& tensor : tensors) {
    header.tensors.emplace_back(tensor.name, tensor.values.size());
  }
  return StateHeaderJson(header);
}

absl::Status Damaged(const std::filesystem::path& path, std::string_view why) {
  return absl::DataLossError(
      absl::StrCat("the training state ", path.string(), " is damaged: ", AbslView(why)));
}

}  // namespace

absl::Status WriteStateFile(const std::filesystem::path& path, const TrainingPosition& position,
                            const std::vector<StateTensor>& tensors) {
  const std::filesystem::path temporary = path.string() + ".tmp";
  HashingFile file(temporary);
  const std::string header = HeaderOf(position, tensors);
  const uint64_t length = header.size();
  file.Write(kMagic);
  file.Write({reinterpret_cast<const char*>(&length), sizeof(length)});
  file.Write(header);
  for (const StateTensor& tensor : tensors) {
    file.Write({reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size_bytes()});
  }
  absl::Status status = file.Finish();
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, "cannot write " + path.string());
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncPath(path.parent_path());
}

absl::StatusOr<StateView> ParseStateFile(std::string_view bytes) {
  if (!bytes.starts_with(kMagic) ||
      bytes.size() < kMagic.size() + sizeof(uint64_t) + kDigestBytes) {
    return absl::DataLossError("it does not start as a state file does");
  }
  const std::string_view digest = bytes.substr(bytes.size() - kDigestBytes);
  bytes.remove_suffix(kDigestBytes);
  if (Sha256::Hex(bytes) != digest) {
    return absl::DataLossError("its bytes do not have its checksum");
  }
  bytes.remove_prefix(kMagic.size());
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  bytes.remove_prefix(sizeof(length));
  if (length > kMaxHeaderBytes || length > bytes.size()) {
    return absl::DataLossError("a header too long");
  }
  auto header = ParseStateHeader(bytes.substr(0, length));
  if (!header.ok()) return absl::DataLossError(header.status().message());
  bytes.remove_prefix(length);
  StateView view{std::move(header->position), {}};
  for (const auto& [name, count] : header->tensors) {
    if (count > bytes.size() / sizeof(float)) return absl::DataLossError("tensors are missing");
    view.tensors[name] = bytes.substr(0, count * sizeof(float));
    bytes.remove_prefix(count * sizeof(float));
  }
  if (!bytes.empty()) return absl::DataLossError("bytes that belong to no tensor");
  return view;
}

absl::StatusOr<StateFile> StateFile::Open(const std::filesystem::path& path) {
  StateFile state;
  state.path_ = path;
  FLOE_ASSIGN_OR_RETURN(state.file_, MappedFile::Open(path));
  auto view = ParseStateFile(state.file_.bytes());
  if (!view.ok()) return Damaged(path, StdView(view.status().message()));
  state.view_ = *std::move(view);
  return state;
}

absl::Status StateFile::Read(const std::string& name, std::span<float> to) const {
  const auto found = view_.tensors.find(name);
  if (found == view_.tensors.end() || found->second.size() != to.size_bytes()) {
    return Damaged(path_, absl::StrCat("tensor ", name, " is missing or of another size"));
  }
  std::memcpy(to.data(), found->second.data(), to.size_bytes());
  return absl::OkStatus();
}

}  // namespace floe::trainer
