// floe.inference.v1.InferenceService: decode, call the scheduler, encode.
#pragma once

#include "floe/inference/v1/inference.grpc.pb.h"
#include "services/inference/inference_metrics.h"
#include "services/inference/model_pool.h"
#include "services/runtime/call.h"

namespace floe::inference {

// Thread-safe. Borrows its parts.
class InferenceRpc final : public v1::InferenceService::Service {
 public:
  InferenceRpc(runtime::Calls& calls, const Clock& clock, ModelPool& pool,
               InferenceMetrics& metrics)
      : calls_(calls), clock_(clock), pool_(pool), metrics_(metrics) {}

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override;
  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override;
  grpc::Status GetWorkerStatus(grpc::ServerContext* context,
                               const v1::GetWorkerStatusRequest* request,
                               v1::WorkerStatus* response) override;

 private:
  absl::Status Stream(runtime::CallContext& call, const v1::GenerateRequest& request,
                      grpc::ServerWriter<v1::GenerateResponse>& writer);
  absl::Status ScoreAll(runtime::CallContext& call, const v1::ScoreRequest& request,
                        v1::ScoreResponse& response);

  runtime::Calls& calls_;
  const Clock& clock_;
  ModelPool& pool_;
  InferenceMetrics& metrics_;
};

}  // namespace floe::inference
