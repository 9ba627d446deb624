// What a kind of job is to the runner: something that executes one attempt of it.
//
//   class PretrainExecutor final : public Executor {
//     std::string kind() const override { return "pretrain"; }
//     absl::StatusOr<std::string> Execute(const Assignment& job, Reporter& reporter,
//                                         std::stop_token stop) override;
//   };
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "jobs/job.h"

namespace floe::runner {

// One attempt of a job.
struct Assignment {
  std::string job;      // resource name: teams/nlp/jobs/trainer-01j...
  std::string job_id;   // trainer-01j...: the same in every attempt, so a good request_id
  std::string team;     // `nlp`: call other services with this team and the role `developer`
  std::string creator;  // id of the key that submitted the job
  std::string kind;
  std::string spec;  // the validated specification as JSON with all defaults filled in
  int attempt = 1;
  // The job's own folder. It exists, no other process works in it, and an earlier attempt may have
  // left its checkpoint here.
  std::filesystem::path folder;
};

// Tells the world how the work goes. Thread-safe; never blocks and never fails: events wait in a
// bounded buffer while the service is away (EventBuffer says what is dropped first when it is
// full).
class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void Progress(jobs::Progress progress) = 0;
  // `level` is info, warning, error or sample. Text that is not UTF-8 is repaired.
  virtual void Log(std::string_view level, std::string_view text) = 0;
  // What was computed since the last call, to be accounted for: tokens trained on, operations.
  virtual void Used(int64_t tokens, double flops) = 0;
  void Info(std::string_view text) { Log("info", text); }
};

// Thread-safe: a runner may execute jobs of several queues at once.
class Executor {
 public:
  virtual ~Executor() = default;

  // `pretrain`, `tokenizer.train`, ...
  virtual std::string kind() const = 0;

  // Does the work on the calling thread and returns the resource name of what was made. It may be
  // executed again, from the start or with what an earlier attempt left in the folder, so
  // publishing must be safe to repeat.
  //
  // When `stop` is requested (the job was cancelled or paused, its lease was lost, or the runner
  // shuts down): write a checkpoint if there is one to write, and return CANCELLED soon. Whether
  // the work is continued later is not the executor's business.
  //
  // Errors: UNAVAILABLE, ABORTED, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, INTERNAL are tried again;
  // all others are final.
  virtual absl::StatusOr<std::string> Execute(const Assignment& job, Reporter& reporter,
                                              std::stop_token stop) = 0;
};

}  // namespace floe::runner
