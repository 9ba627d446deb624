#include "services/billing/usage_rpc.h"

#include <prometheus/counter.h>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "services/billing/access.h"
#include "services/billing/convert.h"
#include "services/usage/attempt_proto.h"

namespace floe::services::billing {
namespace {

absl::Status CheckBatch(int size, std::string_view field) {
  if (size <= kMaxBatch) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(AbslView(field), " has ", size,
                                                 " entries; send at most ", kMaxBatch, " a call"));
}

absl::Status At(std::string_view list, size_t index, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(AbslView(list), "[", index, "]: ", status.message()));
}

}  // namespace

grpc::Status UsageRpc::IngestUsage(grpc::ServerContext* context,
                                   const v1::IngestUsageRequest* request,
                                   v1::IngestUsageResponse* answer) {
  return calls_.Run(*context, "billing.IngestUsage", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireService(call.identity(), "send usage"));
    FLOE_RETURN_IF_ERROR(CheckBatch(request->events_size(), "events"));
    return Ingest(*request, *answer);
  });
}

absl::Status UsageRpc::Ingest(const v1::IngestUsageRequest& request,
                              v1::IngestUsageResponse& answer) {
  std::vector<domain::UsageEvent> events;
  events.reserve(static_cast<size_t>(request.events_size()));
  for (const v1::UsageEvent& event : request.events()) {
    auto read = FromProto(event);
    if (!read.ok()) return At("events", events.size(), read.status());
    events.push_back(*std::move(read));
  }
  FLOE_ASSIGN_OR_RETURN(const auto outcomes, ingest_.Run(std::move(events)));
  for (size_t i = 0; i < outcomes.size(); ++i) {
    auto& result = *answer.add_results();
    result = ToProto(request.events(static_cast<int>(i)).usage_id(), outcomes[i]);
    metrics_
        .Counter("floe_billing_usage_events_total", "Usage events, by what became of them",
                 {{"state", v1::IngestUsageResponse::Result::State_Name(result.state())}})
        .Increment();
  }
  return absl::OkStatus();
}

grpc::Status UsageRpc::IngestAttempts(grpc::ServerContext* context,
                                      const v1::IngestAttemptsRequest* request,
                                      v1::IngestAttemptsResponse* answer) {
  return calls_.Run(*context, "billing.IngestAttempts", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireService(call.identity(), "send attempts"));
    FLOE_RETURN_IF_ERROR(CheckBatch(request->attempts_size(), "attempts"));
    std::vector<domain::Attempt> attempts;
    for (const v1::Attempt& attempt : request->attempts()) {
      attempts.push_back(usage::FromProto(attempt));
      const absl::Status valid = Validate(attempts.back());
      if (!valid.ok()) return At("attempts", attempts.size() - 1, valid);
    }
    FLOE_ASSIGN_OR_RETURN(const int64_t accepted, store_.AppendAttempts(attempts));
    answer->set_accepted(accepted);
    return absl::OkStatus();
  });
}

grpc::Status UsageRpc::IngestJobUsage(grpc::ServerContext* context,
                                      const v1::IngestJobUsageRequest* request,
                                      v1::IngestJobUsageResponse* answer) {
  return calls_.Run(*context, "billing.IngestJobUsage", [&](auto& call) -> absl::Status {
    FLOE_RETURN_IF_ERROR(RequireService(call.identity(), "send what jobs used"));
    FLOE_RETURN_IF_ERROR(CheckBatch(request->attempts_size(), "attempts"));
    FLOE_RETURN_IF_ERROR(CheckBatch(request->counts_size(), "counts"));
    std::vector<domain::JobUsage> attempts;
    for (const v1::JobUsage& attempt : request->attempts()) {
      attempts.push_back(FromProto(attempt, request->queue()));
      const absl::Status valid = Validate(attempts.back());
      if (!valid.ok()) return At("attempts", attempts.size() - 1, valid);
    }
    std::vector<domain::JobCount> counts;
    for (const v1::JobCount& count : request->counts()) {
      counts.push_back(FromProto(count, request->queue()));
      const absl::Status valid = Validate(counts.back());
      if (!valid.ok()) return At("counts", counts.size() - 1, valid);
    }
    FLOE_ASSIGN_OR_RETURN(const int64_t accepted, jobs_.Append(attempts, counts));
    answer->set_accepted(accepted);
    return absl::OkStatus();
  });
}

}  // namespace floe::services::billing
