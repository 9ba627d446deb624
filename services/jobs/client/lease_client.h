// A queue as runners see it, over RPC.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "jobs/job.h"
#include "jobs/runners.h"
#include "jobs/transitions.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace floe::jobs {

// The right to execute one attempt.
struct Lease {
  std::string job;  // resource name
  std::string job_id;
  std::string team;  // its id
  std::string kind;
  std::string spec;
  std::string creator;
  int attempt = 0;
  absl::Duration heartbeat_interval;
  int64_t last_sequence = 0;  // the runner numbers its events after it
};

struct HeartbeatAnswer {
  bool cancel_requested = false;
  int64_t last_sequence = 0;  // the newest of the runner's events that is stored
  bool pause_requested = false;
};

// Thread-safe. No method repeats a call: that is the caller's policy. An attempt that lost its
// lease is ABORTED with the reason LEASE_LOST.
class LeaseClient {
 public:
  virtual ~LeaseClient() = default;

  // Waits up to `wait` for a job. CANCELLED soon after a stop is requested.
  virtual absl::StatusOr<std::optional<Lease>> Acquire(const Runner& runner, absl::Duration wait,
                                                       std::stop_token stop) = 0;
  virtual absl::StatusOr<HeartbeatAnswer> Heartbeat(const Lease& lease,
                                                    const std::vector<Event>& events,
                                                    const Usage& used) = 0;
  // The state of the job afterwards.
  virtual absl::StatusOr<State> Finish(const Lease& lease, const AttemptEnd& end) = 0;
};

// `call_timeout` is the deadline of everything but the waiting.
std::unique_ptr<LeaseClient> MakeLeaseClient(const std::shared_ptr<grpc::Channel>& channel,
                                             absl::Duration call_timeout);

}  // namespace floe::jobs
