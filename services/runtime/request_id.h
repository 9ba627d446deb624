// Ids that clients choose for their requests.
#pragma once

#include <string_view>

namespace floe::runtime {

// Whether an x-request-id that came from outside may go into headers and logs: 1 to 128 of
// [A-Za-z0-9-_.:].
bool IsRequestId(std::string_view text);

}  // namespace floe::runtime
