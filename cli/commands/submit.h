// Jobs as several commands need them: submitted, watched to their end, told.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/commands/commands.h"
#include "cli/door/session.h"

namespace floe::cli {

struct Submission {
  std::string service;  // that owns the kind: trainer, tokenizer
  std::string kind;
  std::string spec;  // YAML or JSON
  int priority = 0;  // higher ones are taken first; above 0 is for admins
};

// How a command that submits a job is told to.
struct SubmitFlags {
  int priority = 0;
  bool watch = false;
};
void AddSubmitOptions(CLI::App& command, SubmitFlags& flags);

absl::StatusOr<jobs::v1::Job> SubmitJob(Session& session, const Submission& submission);

// All rows of a job's measurements, by step.
absl::StatusOr<std::vector<jobs::v1::JobMetrics>> JobMetricsOf(Door& door,
                                                               const std::string& job_name);

// Shows the job's events from `after_sequence` on, on the way to its end. OK when it succeeded;
// else JobFailedError. With --json: one event a line.
absl::Status WatchToEnd(Session& session, const std::string& job_name, int64_t after_sequence);

// Submits with the flags' priority, says so and where the job stands, and watches when asked to.
absl::Status SubmitAndTell(Session& session, Submission submission, const SubmitFlags& flags);

}  // namespace floe::cli
