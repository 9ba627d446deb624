// Journaled records as calls of floe.billing.v1.UsageService.
#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "services/usage/delivery.h"

namespace floe::usage {

// Records are serialized UsageEvents. A record that cannot be read is INVALID_ARGUMENT, as is one
// that billing refuses.
JournalDelivery::Send SendUsage(const std::shared_ptr<grpc::Channel>& billing);

// The same for Attempts.
JournalDelivery::Send SendAttempts(const std::shared_ptr<grpc::Channel>& billing);

}  // namespace floe::usage
