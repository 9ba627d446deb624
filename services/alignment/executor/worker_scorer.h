// The port Scorer by inference.v1 Score of the workers: the engine that serves is the engine that
// judges.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "floe/inference/v1/inference.grpc.pb.h"
#include "services/runtime/client.h"
#include "trainer/ports.h"

namespace floe::runner {

// The workers that this runner may ask. Thread-safe; channels are shared with nobody else.
class Workers {
 public:
  explicit Workers(const std::vector<std::shared_ptr<grpc::Channel>>& channels);

  bool empty() const { return stubs_.empty(); }
  size_t size() const { return stubs_.size(); }
  inference::v1::InferenceService::Stub& At(size_t index) { return *stubs_[index]; }

 private:
  std::vector<std::unique_ptr<inference::v1::InferenceService::Stub>> stubs_;
};

// Scores by one checkpoint. A worker that is away or full is passed over for the next one, a few
// times around. Borrows the workers. Not thread-safe.
class WorkerScorer final : public trainer::Scorer {
 public:
  // `identity` says on whose behalf.
  WorkerScorer(Workers& workers, std::string checkpoint_digest, runtime::CallIdentity identity)
      : workers_(workers), digest_(std::move(checkpoint_digest)), identity_(std::move(identity)) {}

  // FAILED_PRECONDITION without a worker; else the worker's own errors.
  absl::StatusOr<std::vector<trainer::ScoreAnswer>> Score(
      std::span<const trainer::ScoreQuery> queries) override;

 private:
  Workers& workers_;
  const std::string digest_;
  const runtime::CallIdentity identity_;
  size_t turn_ = 0;
};

}  // namespace floe::runner
