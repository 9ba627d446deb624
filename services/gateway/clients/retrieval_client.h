// Passages from floe-retrieval, on behalf of the request's team.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "floe/retrieval/v1/retrieval.grpc.pb.h"
#include "gateway/ports.h"

namespace floe::gateway {

// Thread-safe.
class RetrievalClient final : public Retriever {
 public:
  // Null: there is no retrieval.
  explicit RetrievalClient(const std::shared_ptr<grpc::Channel>& retrieval);

  Awaitable<absl::StatusOr<std::vector<Passage>>> Search(const CallScope& scope,
                                                         const std::string& collection,
                                                         const std::string& query,
                                                         int64_t top_k) override;

 private:
  const std::unique_ptr<retrieval::v1::RetrievalService::Stub> retrieval_;
};

}  // namespace floe::gateway
