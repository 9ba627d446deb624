#include "services/gateway/clients/retrieval_client.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "services/gateway/clients/unary_call.h"

namespace floe::gateway {
namespace {

namespace pb = retrieval::v1;

constexpr absl::Duration kSearchTime = absl::Seconds(10);

}  // namespace

RetrievalClient::RetrievalClient(const std::shared_ptr<grpc::Channel>& retrieval)
    : retrieval_(retrieval == nullptr ? nullptr : pb::RetrievalService::NewStub(retrieval)) {}

Awaitable<absl::StatusOr<std::vector<Passage>>> RetrievalClient::Search(
    const CallScope& scope, const std::string& collection, const std::string& query,
    int64_t top_k) {
  if (retrieval_ == nullptr) {
    co_return WithReason(
        absl::UnimplementedError("this gateway has no retrieval (its option `retrieval` is not "
                                 "set); ask without floe.retrieval"),
        "RETRIEVAL_NOT_OFFERED", {{"param", "floe.retrieval"}});
  }
  pb::SearchRequest request;
  request.set_collection(absl::StrCat("teams/", scope.caller.team, "/collections/", collection));
  request.set_query(query);
  request.set_top_k(static_cast<int32_t>(top_k));
  auto method = [this](grpc::ClientContext* context, const pb::SearchRequest* ask,
                       pb::SearchResponse* answer, std::function<void(grpc::Status)> done) {
    retrieval_->async()->Search(context, ask, answer, std::move(done));
  };
  const absl::StatusOr<pb::SearchResponse> found = co_await CallUnary<pb::SearchResponse>(
      OutgoingFor(scope, kSearchTime), std::move(request), std::move(method));
  if (!found.ok()) co_return found.status();
  std::vector<Passage> passages;
  for (const pb::SearchResponse::Passage& one : found->passages()) {
    const pb::Chunk& chunk = one.chunk();
    passages.push_back({chunk.document(), chunk.begin(), chunk.end(), one.score(), chunk.text()});
  }
  co_return passages;
}

}  // namespace floe::gateway
