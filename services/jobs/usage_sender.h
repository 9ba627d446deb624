// Tells billing what attempts used: at least once, in order, for ever.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/time/time.h"

#include "floe/billing/v1/usage.grpc.pb.h"
#include "jobs/usage.h"
#include "services/runtime/logging.h"
#include "services/runtime/metrics.h"

namespace floe::jobs {

// floe.billing.v1.UsageService.IngestJobUsage with what waits in the outbox; OK: billing has it.
absl::Status SendUsage(billing::v1::UsageService::Stub& billing, const std::string& queue,
                       const UsageDelivery& delivery);

// A thread of its own from construction to destruction, which waits for no more than a call under
// way: what was not delivered waits in the outbox for the next process. Borrows its parts.
class UsageSender {
 public:
  struct Parts {
    UsageOutbox& outbox;
    std::shared_ptr<grpc::Channel> billing;  // owned by whoever still calls
    const runtime::Logger& logger;
    runtime::Metrics& metrics;
  };
  struct Options {
    std::string queue;                             // the service that owns it
    absl::Duration poll_interval;                  // how late an attempt that ended is seen
    absl::Duration max_delay = absl::Seconds(30);  // between tries while billing is away
    int batch = 500;
  };
  UsageSender(Parts parts, Options options);

 private:
  void Loop(std::stop_token stop);
  absl::StatusOr<int> Send();

  const Parts parts_;
  const Options options_;
  const std::unique_ptr<billing::v1::UsageService::Stub> stub_;
  std::jthread thread_;  // last: stops before what it uses goes
};

}  // namespace floe::jobs
