// The service's own work: indexes are brought into memory at start, and re-indexing goes on until
// nothing is left of it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/id.h"
#include "retrieval/indexes.h"
#include "retrieval/reindex.h"
#include "services/runtime/logging.h"

namespace floe::retrieval {

// One thread, from Start to Stop. Borrows its parts.
class ReindexLoop {
 public:
  struct Parts {
    Reindex& reindex;
    Indexes& indexes;
    CollectionStore& collections;
    ReindexTables& tables;
    IdGenerator& ids;
    const runtime::Logger& logger;
    // Between rounds that nobody asked for: what another process began, or what failed before.
    absl::Duration interval = absl::Seconds(10);
  };
  explicit ReindexLoop(const Parts& parts) : parts_(parts) {}
  ~ReindexLoop() { Stop(); }
  ReindexLoop(const ReindexLoop&) = delete;
  ReindexLoop& operator=(const ReindexLoop&) = delete;

  void Start();
  // A collection has a target: a round begins at once.
  void Wake();
  // Ends between two pieces of the work, and waits for that. What was done stays done.
  void Stop();

 private:
  void Loop();
  void WarmAll();
  bool ending() const;

  const Parts parts_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool awake_ = false;   // guarded by mutex_
  bool ending_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace floe::retrieval
