#include "base/journal/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe {
namespace {

constexpr size_t kHeadBytes = 8;
constexpr std::chrono::milliseconds kSyncDelay(20);  // of what Write() has put there
constexpr char kTakenFile[] = "taken";
constexpr char kLockFile[] = "lock";
constexpr char kSegmentEnding[] = ".log";

uint32_t ReadU32(const char* bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void AppendU32(uint32_t value, std::string& out) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

uint32_t Crc(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

void AppendRecord(std::string_view record, std::string& out) {
  AppendU32(static_cast<uint32_t>(record.size()), out);
  AppendU32(Crc(record), out);
  out += record;
}

// What stands at an offset of a segment.
enum class Found { kRecord, kEnd, kCutOff, kBroken };

Found ReadRecord(std::string_view file, size_t offset, uint32_t max_bytes,
                 std::string_view& record) {
  if (offset == file.size()) return Found::kEnd;
  if (file.size() - offset < kHeadBytes) return Found::kCutOff;
  const uint32_t length = ReadU32(file.data() + offset);
  const uint32_t crc = ReadU32(file.data() + offset + 4);
  if (length > max_bytes) return Found::kBroken;
  if (file.size() - offset - kHeadBytes < length) return Found::kCutOff;
  record = file.substr(offset + kHeadBytes, length);
  return Crc(record) == crc ? Found::kRecord : Found::kBroken;
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, what);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(Options options) {
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) {
    return ErrnoStatus(error.value(), absl::StrCat("cannot make ", options.folder.string()));
  }
  std::unique_ptr<Journal> journal(new Journal(std::move(options)));
  FLOE_RETURN_IF_ERROR(journal->Recover());
  journal->writer_ = std::thread([&self = *journal] { self.Loop(); });
  return journal;
}

Journal::~Journal() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    stopped_ = true;
  }
  work_.notify_all();
  more_.notify_all();
  if (writer_.joinable()) writer_.join();
  if (fd_ >= 0) ::close(fd_);
  if (lock_fd_ >= 0) ::close(lock_fd_);  // and so unlocks
}

absl::Status Journal::Recover() {
  const std::filesystem::path lock = options_.folder / kLockFile;
  lock_fd_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return ErrnoStatus(errno, absl::StrCat("cannot open ", lock.string()));
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the journal ", options_.folder.string(),
                     " is in use by another process; give each its own"));
  }
  auto taken = ReadFile(options_.folder / kTakenFile, 64);
  if (!taken.ok() && !absl::IsNotFound(taken.status())) return taken.status();
  if (taken.ok() && !absl::SimpleAtoi(*taken, &taken_)) {
    return absl::DataLossError(
        absl::StrCat((options_.folder / kTakenFile).string(),
                     " holds no number; see what was counted last, write its "
                     "position there, and start again"));
  }
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(options_.folder, error)) {
    uint64_t first = 0;
    if (file.path().extension() == kSegmentEnding &&
        absl::SimpleAtoi(file.path().stem().string(), &first)) {
      segments_.push_back({first, file.path()});
    }
  }
  if (error) return ErrnoStatus(error.value(), "cannot list " + options_.folder.string());
  std::sort(segments_.begin(), segments_.end(),
            [](const Segment& a, const Segment& b) { return a.first < b.first; });
  written_ = segments_.empty() ? taken_ : segments_.front().first - 1;
  for (size_t i = 0; i < segments_.size(); ++i) {
    FLOE_RETURN_IF_ERROR(RecoverSegment(segments_[i], i + 1 == segments_.size()));
  }
  appended_ = written_ = std::max(written_, taken_);
  if (segments_.empty() || segments_.back().first > written_ + 1) return OpenSegment(written_ + 1);
  const Segment& newest = segments_.back();
  fd_ = ::open(newest.path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) return ErrnoStatus(errno, "cannot open " + newest.path.string());
  segment_size_ = std::filesystem::file_size(newest.path);
  return absl::OkStatus();
}

absl::Status Journal::RecoverSegment(const Segment& segment, bool newest) {
  if (segment.first != written_ + 1) {
    return absl::DataLossError(absl::StrCat(segment.path.string(), " begins at record ",
                                            segment.first, ", but the one before ends at ",
                                            written_, ": a segment is missing"));
  }
  FLOE_ASSIGN_OR_RETURN(const std::string file, ReadFile(segment.path));
  size_t offset = 0;
  while (true) {
    std::string_view record;
    const Found found = ReadRecord(file, offset, options_.max_record_bytes, record);
    if (found == Found::kEnd) return absl::OkStatus();
    if (found == Found::kRecord) {
      offset += kHeadBytes + record.size();
      ++written_;
      continue;
    }
    // A crash can only hurt what was being written, at the very end.
    if (!newest || found == Found::kBroken) {
      return absl::DataLossError(absl::StrCat(segment.path.string(), ": record ", written_ + 1,
                                              " at byte ", offset,
                                              " is not what was written; restore the file"));
    }
    if (::truncate(segment.path.c_str(), static_cast<off_t>(offset)) != 0) {
      return ErrnoStatus(errno, "cannot cut " + segment.path.string());
    }
    return SyncPath(segment.path);
  }
}

absl::Status Journal::OpenSegment(uint64_t first) {
  const std::filesystem::path path =
      options_.folder / absl::StrFormat("%020d%s", first, kSegmentEnding);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, "cannot open " + path.string());
  if (absl::Status synced = SyncPath(options_.folder); !synced.ok()) {
    ::close(fd);
    return synced;
  }
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  segment_size_ = 0;
  const std::lock_guard lock(mutex_);
  segments_.push_back({first, path});
  return absl::OkStatus();
}

absl::Status Journal::CheckSize(std::string_view record) const {
  if (record.size() <= options_.max_record_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a record of ", record.size(), " bytes; at most ", options_.max_record_bytes));
}

void Journal::Append(std::string record, std::function<void(absl::Status)> done) {
  if (absl::Status fits = CheckSize(record); !fits.ok()) {
    done(std::move(fits));
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(record), std::move(done)});
  }
  work_.notify_one();
}

absl::Status Journal::AppendAndWait(std::string record) {
  std::promise<absl::Status> durable;
  Append(std::move(record),
         [&durable](absl::Status status) { durable.set_value(std::move(status)); });
  return durable.get_future().get();
}

absl::StatusOr<uint64_t> Journal::Write(std::string_view record) {
  FLOE_RETURN_IF_ERROR(CheckSize(record));
  std::string bytes;
  AppendRecord(record, bytes);
  const std::lock_guard one(file_mutex_);
  FLOE_RETURN_IF_ERROR(MakeRoom());
  FLOE_RETURN_IF_ERROR(PutOrCut(bytes, /*and_sync=*/false));
  ++written_;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    appended_ = written_;
    first = !std::exchange(unsynced_, true);
  }
  if (first) work_.notify_one();
  return written_;
}

void Journal::Sync() const {
  std::unique_lock lock(mutex_);
  ++hurried_;
  work_.notify_one();
  more_.wait(lock, [this] { return waiting_.empty() && !unsynced_ && !writing_; });
  --hurried_;
}

void Journal::Loop() {
  while (true) {
    std::deque<Waiting> batch;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return ending_ || !waiting_.empty() || unsynced_; });
      if (waiting_.empty() && !unsynced_) return;
      if (waiting_.empty()) {  // so that many share one sync
        work_.wait_for(lock, kSyncDelay,
                       [this] { return ending_ || !waiting_.empty() || hurried_ > 0; });
      }
      writing_ = true;
      batch.swap(waiting_);
      unsynced_ = false;
    }
    if (batch.empty()) {
      SyncWritten();
    } else {
      const absl::Status status = WriteBatch(batch);
      if (status.ok()) more_.notify_all();
      for (Waiting& waiting : batch) waiting.done(status);
    }
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
    }
    more_.notify_all();
  }
}

absl::Status Journal::WriteBatch(const std::deque<Waiting>& batch) {
  std::string bytes;
  for (const Waiting& waiting : batch) AppendRecord(waiting.record, bytes);
  const std::lock_guard one(file_mutex_);
  FLOE_RETURN_IF_ERROR(MakeRoom());
  FLOE_RETURN_IF_ERROR(PutOrCut(bytes, /*and_sync=*/true));
  written_ += batch.size();
  const std::lock_guard lock(mutex_);
  appended_ = written_;
  return absl::OkStatus();
}

absl::Status Journal::MakeRoom() {
  FLOE_RETURN_IF_ERROR(broken_);
  if (segment_size_ < options_.segment_bytes) return absl::OkStatus();
  if (options_.sync(fd_) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot sync the journal ", options_.folder.string()));
  }
  return OpenSegment(written_ + 1);
}

absl::Status Journal::PutOrCut(const std::string& bytes, bool and_sync) {
  absl::Status status =
      WriteAll(fd_, bytes, absl::StrCat("cannot write the journal ", options_.folder.string()));
  if (status.ok() && and_sync && options_.sync(fd_) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("cannot sync the journal ", options_.folder.string()));
  }
  if (status.ok()) {
    segment_size_ += bytes.size();
  } else if (::ftruncate(fd_, static_cast<off_t>(segment_size_)) != 0) {
    // Half a record must not stand before whole ones: nothing more is written.
    broken_ =
        absl::DataLossError(absl::StrCat("the journal ", options_.folder.string(),
                                         " can neither be written nor cut: ", status.message()));
    return broken_;
  }
  return status;
}

void Journal::SyncWritten() {
  const int fd = [this] {
    const std::lock_guard one(file_mutex_);
    return ::dup(fd_);  // the segment may be closed meanwhile
  }();
  options_.sync(fd);
  ::close(fd);
}

absl::StatusOr<std::vector<Journal::Entry>> Journal::ReadAfter(uint64_t position,
                                                               size_t max) const {
  std::vector<Segment> segments;
  uint64_t last = 0;
  {
    const std::lock_guard lock(mutex_);
    segments = segments_;
    last = appended_;
  }
  std::vector<Entry> entries;
  for (size_t i = 0; i < segments.size() && entries.size() < max; ++i) {
    if (i + 1 < segments.size() && segments[i + 1].first <= position + 1) continue;
    FLOE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(segments[i].path));
    size_t offset = 0;
    for (uint64_t at = segments[i].first; at <= last && entries.size() < max; ++at) {
      std::string_view record;
      const Found found = ReadRecord(file.bytes(), offset, options_.max_record_bytes, record);
      if (found == Found::kEnd) break;  // the next segment goes on
      if (found != Found::kRecord) {
        return absl::DataLossError(absl::StrCat(segments[i].path.string(), ": record ", at,
                                                " at byte ", offset, " is not what was written"));
      }
      offset += kHeadBytes + record.size();
      if (at > position) entries.push_back({at, std::string(record)});
    }
  }
  return entries;
}

absl::Status Journal::Acknowledge(uint64_t position) {
  std::vector<std::filesystem::path> gone;
  const std::lock_guard one(acknowledging_);
  {
    const std::lock_guard lock(mutex_);
    if (position <= taken_) return absl::OkStatus();
    if (position > appended_) {
      return absl::InvalidArgumentError(
          absl::StrCat("record ", position, " is not in the journal; the newest is ", appended_));
    }
  }
  // Without the lock: those who append do not wait for this file.
  FLOE_RETURN_IF_ERROR(WriteFileAtomically(options_.folder / kTakenFile, absl::StrCat(position)));
  {
    const std::lock_guard lock(mutex_);
    taken_ = position;
    while (segments_.size() > 1 && segments_[1].first <= position + 1) {
      gone.push_back(segments_.front().path);
      segments_.erase(segments_.begin());
    }
  }
  for (const auto& path : gone) {
    std::error_code error;
    std::filesystem::remove(path, error);
    if (error) return ErrnoStatus(error.value(), "cannot remove " + path.string());
  }
  return absl::OkStatus();
}

bool Journal::WaitForMore(uint64_t position, absl::Duration timeout) const {
  std::unique_lock lock(mutex_);
  more_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                 [&] { return stopped_ || appended_ > position; });
  return !stopped_ && appended_ > position;
}

void Journal::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  more_.notify_all();
}

Journal::Stats Journal::stats() const {
  const std::lock_guard lock(mutex_);
  return {appended_, taken_};
}

}  // namespace floe
