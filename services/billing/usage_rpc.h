// floe.billing.v1.UsageService.
#pragma once

#include "billing/ingest.h"
#include "billing/job_usage.h"
#include "floe/billing/v1/usage.grpc.pb.h"
#include "services/runtime/call.h"

namespace floe::services::billing {

inline constexpr int kMaxBatch = 10'000;

// Thread-safe. Borrows its parts.
class UsageRpc final : public floe::billing::v1::UsageService::Service {
 public:
  UsageRpc(runtime::Calls& calls, runtime::Metrics& metrics, floe::billing::IngestUsage& ingest,
           floe::billing::UsageStore& store, floe::billing::JobUsageStore& jobs)
      : calls_(calls), metrics_(metrics), ingest_(ingest), store_(store), jobs_(jobs) {}

  grpc::Status IngestUsage(grpc::ServerContext* context,
                           const floe::billing::v1::IngestUsageRequest* request,
                           floe::billing::v1::IngestUsageResponse* answer) override;
  grpc::Status IngestAttempts(grpc::ServerContext* context,
                              const floe::billing::v1::IngestAttemptsRequest* request,
                              floe::billing::v1::IngestAttemptsResponse* answer) override;
  grpc::Status IngestJobUsage(grpc::ServerContext* context,
                              const floe::billing::v1::IngestJobUsageRequest* request,
                              floe::billing::v1::IngestJobUsageResponse* answer) override;

 private:
  absl::Status Ingest(const floe::billing::v1::IngestUsageRequest& request,
                      floe::billing::v1::IngestUsageResponse& answer);

  runtime::Calls& calls_;
  runtime::Metrics& metrics_;
  floe::billing::IngestUsage& ingest_;
  floe::billing::UsageStore& store_;
  floe::billing::JobUsageStore& jobs_;
};

}  // namespace floe::services::billing
