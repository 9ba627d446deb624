// Identifiers: ULIDs, sortable by the time of their making.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <string>

#include "base/clock.h"

namespace floe {

class IdGenerator {
 public:
  virtual ~IdGenerator() = default;
  // A new identifier, unique for this generator's whole use. Thread-safe.
  virtual std::string Next() = 0;
};

// 26 characters of lower-case Crockford base 32: 48 bits of milliseconds, 80 bits from the system's
// random source (github.com/ulid/spec). Borrows `clock`.
class UlidGenerator final : public IdGenerator {
 public:
  explicit UlidGenerator(const Clock& clock) : clock_(clock) {}
  std::string Next() override;

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::random_device random_;  // guarded by mutex_
};

}  // namespace floe
