#include "services/runtime/status.h"

#include <string>
#include <utility>

#include "base/view.h"
#include "floe/common/v1/error.pb.h"

namespace floe::runtime {
namespace {

constexpr char kErrorInfoUrl[] = "type.googleapis.com/floe.common.v1.ErrorInfo";

}  // namespace

std::string_view CodeName(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return "OK";
    case absl::StatusCode::kCancelled:
      return "CANCELLED";
    case absl::StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case absl::StatusCode::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case absl::StatusCode::kNotFound:
      return "NOT_FOUND";
    case absl::StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case absl::StatusCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case absl::StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case absl::StatusCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case absl::StatusCode::kAborted:
      return "ABORTED";
    case absl::StatusCode::kOutOfRange:
      return "OUT_OF_RANGE";
    case absl::StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    case absl::StatusCode::kInternal:
      return "INTERNAL";
    case absl::StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case absl::StatusCode::kDataLoss:
      return "DATA_LOSS";
    case absl::StatusCode::kUnauthenticated:
      return "UNAUTHENTICATED";
    default:
      return "UNKNOWN";
  }
}

grpc::Status ToGrpcStatus(const absl::Status& status, std::string_view domain) {
  if (status.ok()) return grpc::Status::OK;
  ErrorReason reason = ReasonOf(status).value_or(ErrorReason{});
  if (reason.reason.empty()) reason.reason = CodeName(status.code());
  if (reason.domain.empty()) reason.domain = domain;
  common::v1::ErrorInfo info;
  info.set_reason(reason.reason);
  info.set_domain(reason.domain);
  for (auto& [key, value] : reason.metadata) (*info.mutable_metadata())[key] = value;
  common::v1::StatusDetails details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  auto& packed = *details.add_details();
  packed.set_type_url(kErrorInfoUrl);
  packed.set_value(info.SerializeAsString());
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      details.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  common::v1::StatusDetails details;
  if (!details.ParseFromString(status.error_details())) return result;
  for (const auto& packed : details.details()) {
    common::v1::ErrorInfo info;
    if (packed.type_url() != kErrorInfoUrl || !info.ParseFromString(packed.value())) continue;
    ErrorReason reason{info.reason(), info.domain(), {}};
    for (const auto& [key, value] : info.metadata()) reason.metadata[key] = value;
    return WithReason(std::move(result), std::move(reason));
  }
  return result;
}

}  // namespace floe::runtime
