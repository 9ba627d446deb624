// The worker's own count of what it computed and sent, one record a call: beside the
// gateway's count and the ledger it makes three, and `floe bill verify` compares them. Each record
// that ends gets a receipt (billing/receipt.h), whose digest goes to the gateway with the answer or
// the error.
//
//   <folder>/begun/  <folder>/ended/    of services/usage/work_journal.h
//   <folder>/name                       what bills call this worker
//
// What a killed worker never ended is reported as not known.
#pragma once

#include <grpcpp/channel.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "base/id.h"
#include "billing/receipt.h"
#include "inference/scheduler/request.h"
#include "services/usage/delivery.h"
#include "services/usage/work_journal.h"

namespace floe::inference {

// Thread-safe. Borrows its parts. No call waits for the disk.
class AttemptLog {
 public:
  struct Parts {
    const Clock& clock;
    IdGenerator& ids;
    const runtime::Logger& logger;
    runtime::Metrics& metrics;
  };
  // Without `billing` records are kept and not delivered.
  static absl::StatusOr<std::unique_ptr<AttemptLog>> Open(
      const std::filesystem::path& folder, const std::shared_ptr<grpc::Channel>& billing,
      const Parts& parts);

  // One generation, or the embedding of some texts; its end is written when it goes. Used by one
  // thread.
  class Attempt {
   public:
    // What is asked of the worker.
    struct Work {
      std::string usage_id;
      std::string checkpoint_digest;
      int64_t prompt_tokens = 0;
    };
    // Keeps no record without a log or without a usage_id.
    Attempt(AttemptLog* log, const Work& work, absl::Time now);
    ~Attempt();
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    // The scheduler took it on.
    void Begin();
    // A refusal that came before anything was computed (RESOURCE_EXHAUSTED) leaves no record, like
    // one at once.
    void NoteEnd(const absl::Status& status);
    // What the scheduler says that one of its sequences took; adds up.
    void NoteUsage(const Usage& usage);
    // Writes the end now: nothing that is noted later counts. The receipt's digest; empty when no
    // record is kept.
    const std::string& Sign();
    // Sign(), and the receipt on `status` if that is an error: how the call ends.
    absl::Status SignFor(absl::Status status);

    int64_t prefix_cached_tokens = 0;
    int64_t computed_tokens = 0;
    int64_t sent_tokens = 0;

   private:
    AttemptLog* const log_;  // null: no record
    billing::Attempt record_;
    bool begun_ = false;
    bool refused_ = false;
    bool signed_ = false;
  };

  // Waits until what was noted so far is on disk.
  void Sync() { work_->Sync(); }
  // Waits until billing has all that ended so far; false at the timeout.
  bool Flush(absl::Duration timeout);

 private:
  explicit AttemptLog(const Parts& parts) : parts_(parts), chain_(parts.ids.Next()) {}
  // Signs the record, and writes it: in the order of the chain, so that a worker that is killed
  // leaves the beginning of its chain.
  void End(billing::Attempt& record);

  const Parts parts_;
  std::mutex mutex_;
  billing::ReceiptChain chain_;  // guarded by mutex_
  std::string name_;
  std::unique_ptr<usage::WorkJournal> work_;
  std::unique_ptr<usage::JournalDelivery> delivery_;
};

}  // namespace floe::inference
