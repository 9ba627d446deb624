#include "trainer/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::trainer {
namespace {

using Json = nlohmann::ordered_json;

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

Json HeaderOf(const TrainingPosition& position, const std::vector<StateTensor>& tensors) {
  Json header = {{"step", position.step},
                 {"epoch", position.cursor.epoch},
                 {"position", position.cursor.position},
                 {"rng", position.cursor.rng},
                 {"tokens", position.tokens},
                 {"threads", position.threads},
                 {"processes", position.processes},
                 {"run", position.run},
                 {"last_loss", position.last_loss},
                 {"held_out", position.held_out},
                 {"seconds", position.seconds},
                 {"best_held_out", position.best_held_out},
                 {"best_step", position.best_step},
                 {"worse_in_a_row", position.worse_in_a_row},
                 {"mean_loss", position.mean_loss},
                 {"rewinds", position.rewinds}};
  Json list = Json::array();
  for (const StateTensor& tensor : tensors) list.push_back({tensor.name, tensor.values.size()});
  header["tensors"] = std::move(list);
  return header;
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
  const std::string header = HeaderOf(position, tensors).dump();
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

absl::StatusOr<StateFile> StateFile::Open(const std::filesystem::path& path) {
  StateFile state;
  state.path_ = path;
  FLOE_ASSIGN_OR_RETURN(state.file_, MappedFile::Open(path));
  std::string_view bytes = state.file_.bytes();
  if (!bytes.starts_with(kMagic) ||
      bytes.size() < kMagic.size() + sizeof(uint64_t) + kDigestBytes) {
    return Damaged(path, "it does not start as a state file does");
  }
  const std::string_view digest = bytes.substr(bytes.size() - kDigestBytes);
  bytes.remove_suffix(kDigestBytes);
  if (Sha256::Hex(bytes) != digest) return Damaged(path, "its bytes do not have its checksum");
  bytes.remove_prefix(kMagic.size());
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  bytes.remove_prefix(sizeof(length));
  if (length > kMaxHeaderBytes || length > bytes.size()) return Damaged(path, "a header too long");
  FLOE_RETURN_IF_ERROR(state.ParseHeader(bytes.substr(0, length), bytes.substr(length)));
  return state;
}

absl::Status StateFile::ParseHeader(std::string_view header, std::string_view tensors) {
  try {
    const Json json = Json::parse(header);
    position_.step = json.at("step");
    position_.cursor.epoch = json.at("epoch");
    position_.cursor.position = json.at("position");
    position_.cursor.rng = json.at("rng").get<Rng::State>();
    position_.tokens = json.at("tokens");
    position_.threads = json.at("threads");
    position_.processes = json.value("processes", 1);
    position_.run = json.at("run");
    position_.last_loss = json.at("last_loss");
    position_.held_out = json.at("held_out");
    position_.seconds = json.at("seconds");
    position_.best_held_out = json.value("best_held_out", 0.0);
    position_.best_step = json.value("best_step", int64_t{0});
    position_.worse_in_a_row = json.value("worse_in_a_row", int64_t{0});
    position_.mean_loss = json.value("mean_loss", 0.0);
    position_.rewinds = json.value("rewinds", int64_t{0});
    for (const Json& entry : json.at("tensors")) {
      const uint64_t count = entry.at(1);
      if (count > tensors.size() / sizeof(float)) return Damaged(path_, "tensors are missing");
      tensors_[entry.at(0)] = tensors.substr(0, count * sizeof(float));
      tensors.remove_prefix(count * sizeof(float));
    }
  } catch (const Json::exception& error) {
    return Damaged(path_, error.what());
  }
  return tensors.empty() ? absl::OkStatus() : Damaged(path_, "bytes that belong to no tensor");
}

absl::Status StateFile::Read(const std::string& name, std::span<float> to) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end() || found->second.size() != to.size_bytes()) {
    return Damaged(path_, absl::StrCat("tensor ", name, " is missing or of another size"));
  }
  std::memcpy(to.data(), found->second.data(), to.size_bytes());
  return absl::OkStatus();
}

}  // namespace floe::trainer
