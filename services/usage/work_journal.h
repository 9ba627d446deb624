// Work that is counted when it ends, and is not forgotten when its process is killed before that.
//
//   <begun>/   what began: the record that stands for it if its end never comes
//   <ended>/   how it ended, until billing has taken it in
//
// A process finds in `begun` what the one before it never ended, and brings those records to
// `ended`. Now and then `begun` forgets what lies before the oldest that still runs; so a record of
// something that had ended may come again behind its end, and who takes them in keeps the first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/journal/journal.h"
#include "services/runtime/logging.h"

namespace floe::usage {

// Thread-safe. Borrows the logger. Open() and Sync() wait for the disk.
class WorkJournal {
 public:
  struct Options {
    std::filesystem::path begun;
    std::filesystem::path ended;
    int forget_every = 8192;  // ends: remembering where `begun` begins writes a file
  };
  static absl::StatusOr<std::unique_ptr<WorkJournal>> Open(Options options,
                                                           const runtime::Logger& logger);
  // Waits until all is on disk.
  ~WorkJournal();
  WorkJournal(const WorkJournal&) = delete;
  WorkJournal& operator=(const WorkJournal&) = delete;

  // `id` is its own. The record is there when this returns, should the process be killed; a crash
  // of the machine may lose it in the first moments.
  void Begin(const std::string& id, const std::string& record);
  // `written` is called on another thread with how it went; it must not block. What could not be
  // written has not ended: its other record comes with the next process. An id that never began is
  // fine.
  void End(const std::string& id, std::string record,
           std::function<void(const absl::Status&)> written);
  // It came to nothing, and there is nothing to tell.
  void Drop(const std::string& id);

  Journal& ended() { return *ended_; }
  // Waits until what was said so far is on disk.
  void Sync();

 private:
  WorkJournal(Options options, const runtime::Logger& logger)
      : options_(std::move(options)), logger_(logger) {}
  absl::Status Recover();
  bool NoteEnded(const std::string& id);  // whether it is time to forget
  // Up to where all has ended. Writes a file.
  void ForgetEnded();

  const Options options_;
  const runtime::Logger& logger_;
  std::mutex mutex_;
  std::unordered_map<std::string, uint64_t> running_;  // guarded by mutex_: positions in `begun`
  std::set<uint64_t> positions_;                       // guarded by mutex_: the same
  int ended_since_forgotten_ = 0;                      // guarded by mutex_
  std::unique_ptr<Journal> begun_;
  std::unique_ptr<Journal> ended_;
};

}  // namespace floe::usage
