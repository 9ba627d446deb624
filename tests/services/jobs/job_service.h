// A service with a queue, as the tests of queue and runner need it: real Postgres, real gRPC behind
// a Unix socket (so that it comes back at the same address), one kind of work that the test owns.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/postgres/pool.h"
#include "floe/jobs/v1/jobs.grpc.pb.h"
#include "services/jobs/job_kinds.h"
#include "services/jobs/job_services.h"
#include "services/runtime/call.h"
#include "services/runtime/metrics.h"
#include "tests/support/temp_dir.h"

namespace floe::jobs {

inline constexpr char kTestKind[] = "test.work";

// Accepts everything that does not contain `bad`; what contains `large` needs 8 GiB.
class TestKind final : public JobKind {
 public:
  std::string name() const override { return kTestKind; }
  int max_attempts() const override { return max_attempts_; }
  absl::StatusOr<jobs::CheckedSpec> Validate(const runtime::CallContext& call,
                                             const std::string& team,
                                             const std::string& spec) override;
  void set_max_attempts(int attempts) { max_attempts_ = attempts; }
  int validated() const { return validated_; }

 private:
  std::atomic<int> max_attempts_{3};
  std::atomic<int> validated_{0};
};

// Used by one thread; calls run on any.
class JobServiceHost {
 public:
  explicit JobServiceHost(std::string dsn);
  ~JobServiceHost();

  // Options of every later Start().
  JobServices::Options& options() { return options_; }
  void Start();
  void Stop();

  std::string address() const;  // for a channel
  std::shared_ptr<grpc::Channel> channel() const;
  JobServices& services() { return *services_; }
  TestKind& kind() { return kind_; }

 private:
  test::TempDir dir_;
  SystemClock clock_;
  UlidGenerator ids_{clock_};
  runtime::Logger logger_{"test", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  runtime::Calls calls_{{logger_, metrics_, clock_, ids_, "test.floe"}};
  TestKind kind_;
  const JobKinds kinds_{{&kind_}};
  JobServices::Options options_;
  std::unique_ptr<postgres::Pool> pool_;
  std::unique_ptr<JobServices> services_;
  std::unique_ptr<grpc::Server> server_;
};

// Calls as a person of `team` (empty: as a service) with a deadline that a hanging test meets.
// Failures come back as absl::Status with the reason on it.
class JobCaller {
 public:
  JobCaller(std::shared_ptr<grpc::Channel> channel, std::string team);

  absl::StatusOr<v1::Job> Create(const std::string& spec, const std::string& request_id = "",
                                 const std::string& kind = kTestKind,
                                 const std::string& parent = "teams/nlp");
  absl::StatusOr<v1::Job> CreateWith(int priority, const std::string& role);
  absl::StatusOr<v1::Job> Get(const std::string& name);
  absl::StatusOr<v1::Job> Cancel(const std::string& name);
  absl::StatusOr<v1::Job> Pause(const std::string& name);
  absl::StatusOr<v1::Job> Resume(const std::string& name);
  absl::StatusOr<v1::ListJobMetricsResponse> Metrics(const std::string& name, int page_size = 0,
                                                     const std::string& page_token = "");
  absl::StatusOr<v1::ListJobsResponse> List(int page_size, const std::string& page_token = "",
                                            const std::string& parent = "teams/nlp");
  struct Watched {
    std::vector<v1::JobEvent> events;
    absl::Status status;
  };
  // Until the stream ends, or until `enough` says so.
  Watched Watch(const std::string& name, int64_t after_sequence,
                std::function<bool(const v1::JobEvent&)> enough = nullptr);
  // The job once it is in `state`, watching it.
  absl::StatusOr<v1::Job> WaitFor(const std::string& name, v1::Job::State state);

  absl::StatusOr<v1::AcquireLeaseResponse> Acquire(absl::Duration wait,
                                                   const std::string& runner = "host-1",
                                                   int64_t memory_bytes = 0);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::Lease& lease,
                                                  const std::vector<v1::JobEvent>& events = {},
                                                  int64_t tokens = 0);
  absl::StatusOr<v1::Job> Finish(const v1::Lease& lease, v1::FinishAttemptRequest::Outcome outcome,
                                 const std::string& error = "");

 private:
  void Prepare(grpc::ClientContext& context) const;

  const std::string team_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::LeaseService::Stub> leases_;
};

// What an event says: `QUEUED`, `step 3` or the text of a line.
std::string Words(const v1::JobEvent& event);
std::vector<std::string> Words(const std::vector<v1::JobEvent>& events);

}  // namespace floe::jobs
