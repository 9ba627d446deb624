// What is kept of a job beside its row: events, measurements, attempts. Within the transaction and
// the schema of the caller; pqxx exceptions leave these functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include <pqxx/pqxx>

#include "jobs/job.h"
#include "jobs/transitions.h"

namespace floe::jobs {

// Appends the events of a change, what they measured, and the attempt that began or ended.
void AppendHistory(pqxx::transaction_base& sql, const Change& change);

absl::StatusOr<std::vector<Event>> ReadEvents(pqxx::transaction_base& sql, const std::string& id,
                                              int64_t after_sequence, int limit);
absl::StatusOr<std::vector<StepMetrics>> ReadMetrics(pqxx::transaction_base& sql,
                                                     const std::string& id, int64_t after_step,
                                                     int limit);
absl::StatusOr<std::vector<Attempt>> ReadAttempts(pqxx::transaction_base& sql,
                                                  const std::string& id);

}  // namespace floe::jobs
