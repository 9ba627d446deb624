// floe.inference.v1.InferenceService: decode, call the scheduler, encode.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "floe/inference/v1/inference.grpc.pb.h"
#include "services/inference/attempt_log.h"
#include "services/inference/inference_metrics.h"
#include "services/inference/model_pool.h"
#include "services/runtime/call.h"
#include "services/runtime/call_watch.h"

namespace floe::inference {

// Thread-safe. Borrows its parts.
class InferenceRpc final : public v1::InferenceService::Service {
 public:
  // Without `attempts` no record of generations is kept.
  InferenceRpc(runtime::Calls& calls, const Clock& clock, ModelPool& pool,
               InferenceMetrics& metrics, AttemptLog* attempts = nullptr)
      : calls_(calls), clock_(clock), pool_(pool), metrics_(metrics), attempts_(attempts) {}

  // No new work is taken; what cannot finish before `time` ends then with the reason HANDED_OVER.
  void EndBy(absl::Time time);

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override;
  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override;
  grpc::Status Embed(grpc::ServerContext* context, const v1::EmbedRequest* request,
                     v1::EmbedResponse* response) override;
  grpc::Status GetWorkerStatus(grpc::ServerContext* context,
                               const v1::GetWorkerStatusRequest* request,
                               v1::WorkerStatus* response) override;
  grpc::Status LoadCheckpoint(grpc::ServerContext* context,
                              const v1::LoadCheckpointRequest* request,
                              v1::WorkerStatus::LoadedCheckpoint* response) override;
  grpc::Status UnloadCheckpoint(grpc::ServerContext* context,
                                const v1::UnloadCheckpointRequest* request,
                                v1::UnloadCheckpointResponse* response) override;

 private:
  // Waits for a load no longer than the call goes on.
  absl::StatusOr<std::shared_ptr<ServedModel>> Acquire(const runtime::CallContext& call,
                                                       const std::string& digest);
  absl::Status Stream(runtime::CallContext& call, const v1::GenerateRequest& request,
                      grpc::ServerWriter<v1::GenerateResponse>& writer);
  // Submits and answers; the attempt is told what that took, all of it by the time this returns.
  absl::Status Answer(runtime::CallContext& call, const v1::GenerateRequest& request,
                      const std::shared_ptr<ServedModel>& model, AttemptLog::Attempt& attempt,
                      grpc::ServerWriter<v1::GenerateResponse>& writer);
  // The sequences of one call.
  struct Batch {
    const std::string& digest;
    int count = 0;
    int64_t tokens = 0;  // of all
    ServiceTier tier = ServiceTier::kDefault;
    AttemptLog::Attempt* attempt = nullptr;  // borrowed: begins, and is told what they took
  };
  // Runs them, several at once, and gives their last events to `take` in order. A call whose
  // deadline cannot be met is refused before anything runs.
  absl::Status RunAll(runtime::CallContext& call, const Batch& batch,
                      absl::FunctionRef<absl::StatusOr<Request>(int index)> make,
                      absl::FunctionRef<void(const Event&)> take);
  // Why the call has to end now, if it does.
  absl::Status MayGoOn(const runtime::CallContext& call) const;

  runtime::Calls& calls_;
  const Clock& clock_;
  ModelPool& pool_;
  InferenceMetrics& metrics_;
  AttemptLog* const attempts_;                                        // borrowed
  std::atomic<int64_t> end_by_{std::numeric_limits<int64_t>::max()};  // nanoseconds of Unix time
  runtime::CallWatch watch_;  // of the calls that wait for a load or an event
};

}  // namespace floe::inference
