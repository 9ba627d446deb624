// The workers that embed and score, over floe.inference.v1.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "floe/inference/v1/inference.grpc.pb.h"
#include "retrieval/ports.h"

namespace floe::retrieval {

struct ScoredSequence {
  std::vector<tokenizer::TokenId> ids;
  int score_from = 1;  // in [1, ids.size())
};

// Thread-safe. Calls go around; one whose worker is away or full is tried at each of the others
// once, and all of them once more after a moment.
class Workers final : public Embedder {
 public:
  explicit Workers(const std::vector<std::shared_ptr<grpc::Channel>>& channels);

  absl::StatusOr<std::vector<std::vector<float>>> Embed(
      const Caller& caller, const std::string& digest,
      const std::vector<std::vector<tokenizer::TokenId>>& sequences) override;

  // For each sequence, the sum of the natural logarithms of its ids' probabilities from score_from
  // on.
  absl::StatusOr<std::vector<double>> Score(const Caller& caller, const std::string& digest,
                                            const std::vector<ScoredSequence>& sequences);

 private:
  using Stub = inference::v1::InferenceService::Stub;
  absl::Status Try(const Caller& caller,
                   const std::function<absl::Status(Stub&, grpc::ClientContext&)>& call);

  std::vector<std::unique_ptr<Stub>> stubs_;
  std::atomic<size_t> turn_{0};
};

}  // namespace floe::retrieval
