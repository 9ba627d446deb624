// A changed collection, written back.
#pragma once

#include <pqxx/pqxx>

#include "retrieval/collection.h"

namespace floe::retrieval {

// Under the row's lock. Chunks that are neither searched nor the target's go.
void SaveCollection(pqxx::transaction_base& sql, const Collection& collection);

}  // namespace floe::retrieval
