// Between the contract's messages and the domain's values. Pure.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "floe/jobs/v1/jobs.pb.h"
#include "jobs/job.h"
#include "jobs/transitions.h"
#include "services/runtime/proto_time.h"

namespace floe::jobs {

using runtime::FromProto;
using runtime::ToProto;

v1::Job ToProto(const Job& job);
v1::Progress ToProto(const Progress& progress);
v1::JobEvent ToProto(const Event& event);
v1::JobMetrics ToProto(const StepMetrics& metrics);
v1::Attempt ToProto(const Attempt& attempt);
v1::Usage ToProto(const Usage& used);
// What is below zero counts as nothing.
Usage FromProto(const v1::Usage& used);

// INVALID_ARGUMENT names the event and what is missing in it.
absl::StatusOr<std::vector<Event>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::JobEvent>& events);
absl::StatusOr<AttemptEnd> FromProto(const v1::FinishAttemptRequest& request);

// `text` with U+FFFD in place of each NUL, which Postgres does not store.
std::string WithoutNul(const std::string& text);

// The ids of `teams/{team}/jobs/{job}`.
struct JobName {
  std::string team;
  std::string id;
};
absl::StatusOr<JobName> ParseJobName(const std::string& name);

}  // namespace floe::jobs
