#include "services/usage/billing_senders.h"

#include <string>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "floe/billing/v1/usage.grpc.pb.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"

namespace floe::usage {
namespace {

namespace v1 = billing::v1;

constexpr absl::Duration kCallTime = absl::Seconds(20);

template <typename Message>
absl::Status ParseInto(const std::string& record, Message& message) {
  if (message.ParseFromString(record)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a journaled record of ", record.size(),
                                                 " bytes is no ", message.GetTypeName()));
}

}  // namespace

JournalDelivery::Send SendUsage(const std::shared_ptr<grpc::Channel>& billing) {
  // Shared by the copies of the function.
  std::shared_ptr<v1::UsageService::Stub> stub = v1::UsageService::NewStub(billing);
  return [stub](const std::vector<std::string>& records) -> absl::Status {
    v1::IngestUsageRequest request;
    for (const std::string& record : records) {
      FLOE_RETURN_IF_ERROR(ParseInto(record, *request.add_events()));
    }
    grpc::ClientContext context;
    runtime::PrepareCall(context, runtime::OutgoingCall::Own("usage-delivery", kCallTime));
    v1::IngestUsageResponse answer;
    return runtime::FromGrpcStatus(stub->IngestUsage(&context, request, &answer));
  };
}

JournalDelivery::Send SendAttempts(const std::shared_ptr<grpc::Channel>& billing) {
  // Shared by the copies of the function.
  std::shared_ptr<v1::UsageService::Stub> stub = v1::UsageService::NewStub(billing);
  return [stub](const std::vector<std::string>& records) -> absl::Status {
    v1::IngestAttemptsRequest request;
    for (const std::string& record : records) {
      FLOE_RETURN_IF_ERROR(ParseInto(record, *request.add_attempts()));
    }
    grpc::ClientContext context;
    runtime::PrepareCall(context, runtime::OutgoingCall::Own("attempt-delivery", kCallTime));
    v1::IngestAttemptsResponse answer;
    return runtime::FromGrpcStatus(stub->IngestAttempts(&context, request, &answer));
  };
}

}  // namespace floe::usage
