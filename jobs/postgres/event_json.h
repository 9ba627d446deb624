// What happened to a job as JSON text, the form in which the queue stores it. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"

#include "jobs/job.h"

namespace floe::jobs {

// Numbers that JSON does not have are written as the strings "NaN", "Infinity" and "-Infinity".
std::string ProgressToJson(const Progress& progress);
absl::StatusOr<Progress> ProgressFromJson(std::string_view json);

// The measurements of one step alone.
std::string MetricsToJson(const std::map<std::string, double>& metrics);
absl::StatusOr<std::map<std::string, double>> MetricsFromJson(std::string_view json);

// {"progress": {...}}, {"log": {"level", "text"}} or {"state": "RUNNING"}.
std::string WhatToJson(const std::variant<Progress, LogLine, State>& what);
absl::StatusOr<std::variant<Progress, LogLine, State>> WhatFromJson(std::string_view json);

}  // namespace floe::jobs
