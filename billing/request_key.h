// What repeating a change means.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace floe::billing {

// A change that its client may send twice. `id` is the client's request_id, empty for none, and
// means something within `team` only; `fingerprint` tells two changes apart that were sent under
// one id.
struct RequestKey {
  std::string team;  // the caller's; empty: a service of the fleet
  std::string id;
  std::string fingerprint;
};

// OK when the change that came first under this id, `what`, is the same one. INVALID_ARGUMENT,
// REQUEST_ID_REUSED, otherwise.
absl::Status CheckRepeat(const RequestKey& request, std::string_view first_fingerprint,
                         std::string_view what);

}  // namespace floe::billing
