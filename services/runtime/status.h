// The one border between absl::Status and grpc::Status.
#pragma once

#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"

#include "base/error_reason.h"

namespace floe::runtime {

// Code and message, and one floe.common.v1.ErrorInfo in the details. Without a reason of its own
// (base/error_reason.h) an error gets its code's name; without a domain it gets `domain`.
grpc::Status ToGrpcStatus(const absl::Status& status, std::string_view domain);

// The way back, reason, domain and metadata included.
absl::Status FromGrpcStatus(const grpc::Status& status);

// NOT_FOUND and so on.
std::string_view CodeName(absl::StatusCode code);

}  // namespace floe::runtime
