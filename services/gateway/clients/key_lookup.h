// gateway/auth's Identifier for coroutines: what it remembers at once, the rest on a pool.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include "gateway/auth/identify.h"
#include "gateway/ports.h"

namespace floe::gateway {

// Thread-safe. Borrows both. What waits for the pool is bounded by the number of connections: each
// has one request at a time.
class IdentifierLookup final : public KeyLookup {
 public:
  IdentifierLookup(Identifier& identifier, boost::asio::thread_pool& pool)
      : identifier_(identifier), pool_(pool) {}

  Awaitable<absl::StatusOr<Identity>> Identify(std::string_view secret) override;

 private:
  Identifier& identifier_;
  boost::asio::thread_pool& pool_;
};

}  // namespace floe::gateway
