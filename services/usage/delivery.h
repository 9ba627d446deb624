// Brings a journal's records to where they are counted: at least once, in order, for ever.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/journal/journal.h"
#include "services/runtime/logging.h"
#include "services/runtime/metrics.h"

namespace floe::usage {

// Thread-safe. Borrows its parts. Ending it stops at once; what was not delivered stays in the
// journal for the next process.
class JournalDelivery {
 public:
  // Sends records as one batch, with a deadline of its own. OK: all of them are durable there.
  // INVALID_ARGUMENT: they will never be taken as they are. Anything else is tried again.
  using Send = std::function<absl::Status(const std::vector<std::string>& records)>;

  struct Options {
    absl::Duration linger = absl::Milliseconds(100);  // for more records, so that calls are few
    std::string metric;  // floe_gateway_usage: …_pending_records, …_delivered_total, …
    std::filesystem::path rejected_folder;
    size_t batch = 1000;
    absl::Duration first_delay = absl::Milliseconds(50);  // between failed tries, doubling
    absl::Duration max_delay = absl::Seconds(5);
  };
  struct Parts {
    Journal& journal;
    const runtime::Logger& logger;
    runtime::Metrics& metrics;
  };
  static absl::StatusOr<std::unique_ptr<JournalDelivery>> Start(Options options, Send send,
                                                                const Parts& parts);
  ~JournalDelivery();
  JournalDelivery(const JournalDelivery&) = delete;
  JournalDelivery& operator=(const JournalDelivery&) = delete;

  // Waits until everything that is in the journal now was delivered; false at the timeout.
  bool Flush(absl::Duration timeout);

 private:
  JournalDelivery(Options options, Send send, const Parts& parts,
                  std::unique_ptr<Journal> rejected);
  void Loop();
  // Delivers what comes behind `position`: the new position.
  absl::StatusOr<uint64_t> DeliverBatch(uint64_t position);
  // A batch that is refused as a whole: record by record; those that are refused are kept aside.
  absl::Status DeliverOneByOne(const std::vector<Journal::Entry>& entries);
  void ShowPending();
  // Both: false when the end has come.
  bool WaitBeforeRetry(int failures);
  bool Linger();

  const Options options_;
  const Send send_;
  const Parts parts_;
  const std::unique_ptr<Journal> rejected_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;  // guarded by mutex_
  bool hurry_ = false;   // guarded by mutex_: somebody waits in Flush
  std::thread thread_;
};

}  // namespace floe::usage
