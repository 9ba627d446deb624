// API keys in the table gateway.keys, and their teams in gateway.teams.
#pragma once

#include <memory>

#include "base/postgres/pool.h"
#include "gateway/auth/key_store.h"

namespace floe::gateway {

// Borrows `pool`, whose schema is up to date (gateway/postgres/schema.h).
std::unique_ptr<KeyStore> MakePostgresKeyStore(postgres::Pool& pool);

}  // namespace floe::gateway
