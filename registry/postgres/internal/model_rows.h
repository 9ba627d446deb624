// Rows of models, versions and aliases as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <pqxx/pqxx>

#include "registry/alias.h"
#include "registry/model_version.h"

namespace floe::registry {

// The version with all that belongs to it; nothing when it is not there (any more).
std::optional<ModelVersion> ReadVersion(pqxx::transaction_base& sql, int64_t id);

// The etag of an alias whose newest move is `move_id`.
std::string EtagOf(int64_t move_id);

// The alias as it was after the move `move_id`, with the history up to there.
Alias ReadAlias(pqxx::transaction_base& sql, int64_t alias_id, int64_t move_id);

// A row of model_details with its aliases, without their history.
Model ReadModel(pqxx::transaction_base& sql, const pqxx::row& row);

}  // namespace floe::registry
