// The policy of a running gateway: a file that may change under it.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/ports.h"
#include "services/runtime/logging.h"
#include "services/runtime/metrics.h"

namespace floe::gateway {

// Thread-safe. Borrows `logger` and `metrics`. The file's bytes are compared every `poll`; once
// they have changed and stayed the same from one look to the next (an editor may be half-way), the
// new policy holds for requests that begin from then on. A file that is bad, empty or gone changes
// nothing: the old policy stays, the error is logged once and told by error() and the metric
// floe_gateway_policy_error, which is 1 as long as it lasts.
class PolicyFile final : public Policies {
 public:
  struct Options {
    std::filesystem::path path;  // empty: everything is allowed, for ever
    absl::Duration poll = absl::Seconds(1);
  };
  struct Parts {
    const runtime::Logger& logger;
    runtime::Metrics& metrics;
  };

  // INVALID_ARGUMENT names the file, the line and the mistake. To allow everything, write `{}`.
  static absl::StatusOr<std::unique_ptr<PolicyFile>> Load(Options options, Parts parts);
  ~PolicyFile() override;

  std::shared_ptr<const policy::Policy> Current() const override;
  // What is wrong with the file as it is now.
  absl::Status error() const;

  // Looks at the file now. One thread at a time.
  void Poll();

 private:
  PolicyFile(Options options, Parts parts, std::shared_ptr<const policy::Policy> policy);
  void ShowError(bool wrong);

  const Options options_;
  const Parts parts_;
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;                         // guarded by mutex_
  std::shared_ptr<const policy::Policy> policy_;  // guarded by mutex_; shared with requests
  absl::Status error_;                            // guarded by mutex_
  std::string last_look_;                         // of Poll(): what it saw, not yet believed
  std::thread polling_;
};

}  // namespace floe::gateway
