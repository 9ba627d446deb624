// Evaluations and gates as a transaction reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include <pqxx/pqxx>

#include "registry/evaluation.h"
#include "registry/gate.h"

namespace floe::registry {

// A row of evaluation_details with its metrics.
Evaluation ReadEvaluation(pqxx::transaction_base& sql, const pqxx::row& row);

// All evidence about one checkpoint on the datasets that `gates` name, newest first.
std::vector<Evaluation> EvidenceOf(pqxx::transaction_base& sql, const std::string& team,
                                   const std::string& model_digest, const std::vector<Gate>& gates);

// The pinned gates of a model; none when it has no policy. DATA_LOSS when they cannot be read.
absl::StatusOr<std::vector<Gate>> GatesOf(pqxx::transaction_base& sql, int64_t model_id);

}  // namespace floe::registry
