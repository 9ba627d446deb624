// Records that are on disk before their writer goes on, and leave the disk only once somebody has
// taken them: what stands between "it happened" and "it was counted".
//
// A folder of segments `<first position>.log`. A record is [u32 length][u32 CRC-32 of the bytes]
// [bytes], little-endian; its position counts records from 1 on, over the journal's whole life. The
// file `taken` holds the position up to which records were acknowledged; segments behind it go.
#pragma once

#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace floe {

// Thread-safe. One process at a time owns a folder.
class Journal {
 public:
  struct Options {
    std::filesystem::path folder;      // made when it is not there
    uint64_t segment_bytes = 8 << 20;  // a new segment begins behind this size
    uint32_t max_record_bytes = 1 << 20;
    // Brings what was written to the disk; like fdatasync, which it is outside of tests.
    std::function<int(int fd)> sync = ::fdatasync;
  };

  struct Entry {
    uint64_t position = 0;
    std::string record;
  };

  struct Stats {
    uint64_t appended = 0;  // position of the newest durable record
    uint64_t taken = 0;     // acknowledged up to here
    uint64_t pending() const { return appended - taken; }
  };

  // Recovers what a crash left: a record that was cut off at the very end was never reported as
  // durable, and is dropped. DATA_LOSS names the file and place of any other record whose bytes are
  // not those that were written. FAILED_PRECONDITION while another process owns the folder.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(Options options);
  // Waits until everything appended is durable.
  ~Journal();

  // `done` is called on the journal's thread once the record is on disk, or with the error that
  // kept it from there (RESOURCE_EXHAUSTED on a full disk: the journal goes on once there is room).
  // It must not block. Appends of many threads share one fsync. INVALID_ARGUMENT comes at once for
  // a record over the limit.
  void Append(std::string record, std::function<void(absl::Status)> done);
  // The same, waiting.
  absl::Status AppendAndWait(std::string record);

  // In the file when it returns, with its position, and on disk some time later: the end of the
  // process loses nothing of it, a crash of the machine perhaps the last moment's. For a journal of
  // its own; beside Append() it would wait for the disk.
  absl::StatusOr<uint64_t> Write(std::string_view record);

  // Waits until nothing is being written, all is on disk and every `done` has been called.
  void Sync() const;

  // The durable records behind `position`, oldest first, at most `max`; empty when there is none.
  absl::StatusOr<std::vector<Entry>> ReadAfter(uint64_t position, size_t max) const;
  // Everything up to `position` has been taken in: remembered durably; segments behind it are
  // removed. A crash just before may hand those records out again.
  absl::Status Acknowledge(uint64_t position);

  // Waits until there is a durable record behind `position`; false at the timeout or after Stop().
  bool WaitForMore(uint64_t position, absl::Duration timeout) const;
  // Ends every wait.
  void Stop();

  Stats stats() const;

 private:
  struct Waiting {
    std::string record;
    std::function<void(absl::Status)> done;
  };
  struct Segment {
    uint64_t first = 0;  // position of its first record
    std::filesystem::path path;
  };

  explicit Journal(Options options) : options_(std::move(options)) {}
  absl::Status Recover();
  absl::Status RecoverSegment(const Segment& segment, bool newest);
  absl::Status OpenSegment(uint64_t first);
  absl::Status CheckSize(std::string_view record) const;
  void Loop();
  // Both for the holder of file_mutex_.
  absl::Status MakeRoom();
  absl::Status PutOrCut(const std::string& bytes, bool and_sync);
  absl::Status WriteBatch(const std::deque<Waiting>& batch);
  // What Write() has put there, without keeping anybody waiting.
  void SyncWritten();

  const Options options_;
  int lock_fd_ = -1;

  std::mutex file_mutex_;  // taken before mutex_
  // Guarded by file_mutex_.
  int fd_ = -1;
  uint64_t segment_size_ = 0;
  uint64_t written_ = 0;  // position of the last record in the file
  absl::Status broken_;   // why nothing more can be written

  std::mutex acknowledging_;  // one Acknowledge() at a time; taken before mutex_
  mutable std::mutex mutex_;
  mutable std::condition_variable work_;
  mutable std::condition_variable more_;
  // Guarded by mutex_.
  std::deque<Waiting> waiting_;
  std::vector<Segment> segments_;  // oldest first
  uint64_t appended_ = 0;
  uint64_t taken_ = 0;
  bool unsynced_ = false;    // Write() has put something there
  mutable int hurried_ = 0;  // threads in Sync()
  bool writing_ = false;
  bool ending_ = false;
  bool stopped_ = false;

  std::thread writer_;
};

}  // namespace floe
