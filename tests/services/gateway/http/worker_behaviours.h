// What workers of a FakeFleet do that a test is about, and what a client sees of it.
#pragma once

#include <string>

#include "absl/status/status.h"

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {

// Takes nothing on. The reason on `refusal` goes along.
FakeWorker::Behaviour Refuse(absl::Status refusal);

// Ends by `status` after `count` letters of what it would have said, without a finish.
FakeWorker::Behaviour DieAfter(int count, absl::Status status);

// The text of a streamed chat, without its error event if it has one.
std::string StreamedText(const HttpAnswer& answer);

}  // namespace floe::gateway
