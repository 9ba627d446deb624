// Identifiers that a test can foretell.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"

#include "base/id.h"

namespace floe::test {

// 00000000000000000000000001, 00000000000000000000000002, ...: as long and as sortable as a ULID.
// Thread-safe.
class FakeIds final : public IdGenerator {
 public:
  std::string Next() override { return absl::StrFormat("%026d", ++last_); }

 private:
  std::atomic<int64_t> last_{0};
};

}  // namespace floe::test
