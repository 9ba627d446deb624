#include "services/gateway/clients/worker_pool.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "services/gateway/clients/moving_answer.h"
#include "services/gateway/clients/unary_call.h"
#include "services/gateway/clients/worker_refusals.h"
#include "services/gateway/clients/worker_stream.h"
#include "services/usage/receipt_status.h"

namespace floe::gateway {
namespace {

namespace pb = inference::v1;

// Another worker is asked instead, and what each of them signs for is kept.
constexpr int kOnce = 1;

absl::StatusOr<std::vector<std::vector<float>>> VectorsOf(const pb::EmbedResponse& answer,
                                                          size_t inputs) {
  if (static_cast<size_t>(answer.embeddings_size()) != inputs) {
    return absl::InternalError(absl::StrCat("a worker gave ", answer.embeddings_size(),
                                            " vectors for ", inputs, " texts"));
  }
  std::vector<std::vector<float>> vectors;
  vectors.reserve(inputs);
  for (const auto& one : answer.embeddings()) {
    vectors.emplace_back(one.values().begin(), one.values().end());
  }
  return vectors;
}

}  // namespace

WorkerPool::WorkerPool(std::vector<Worker> workers, Parts parts)
    : parts_(std::move(parts)),
      slots_(std::move(workers), {parts_.clock, parts_.logger, parts_.metrics}) {}

Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> WorkerPool::Start(
    const CallScope& scope, const GenerateCall& call) {
  const auto executor = co_await boost::asio::this_coro::executor;
  auto answer = std::make_unique<MovingAnswer>(
      MovingAnswer::Parts{slots_, parts_.clock, parts_.pause, parts_.draw}, scope, call, executor);
  const absl::Status begun = co_await answer->Begin();
  if (!begun.ok()) co_return begun;
  co_return answer;
}

Awaitable<absl::StatusOr<std::vector<std::vector<float>>>> WorkerPool::Embed(
    const CallScope& scope, const EmbedCall& call) {
  const runtime::OutgoingCall outgoing = OutgoingFor(scope, absl::InfiniteDuration());
  const pb::EmbedRequest request = ToProto(call);
  std::vector<bool> tried(slots_.size(), false);
  std::optional<int> retry_after;
  absl::Status last = absl::UnavailableError("no workers are configured");
  // Nothing is shared but the checkpoint.
  const uint64_t key = PrefixKey(call.model.digest, "", {});
  while (true) {
    const std::optional<WorkerSlots::Ticket> ticket = slots_.Take(tried, key);
    if (!ticket) co_return AllFailed(last, retry_after);
    const size_t worker = ticket->worker();
    tried[worker] = true;
    ++call.meter->attempts;
    auto method = [&stub = slots_.stub(worker)](
                      grpc::ClientContext* context, const pb::EmbedRequest* ask,
                      pb::EmbedResponse* answer, std::function<void(grpc::Status)> done) {
      stub.async()->Embed(context, ask, answer, std::move(done));
    };
    const absl::StatusOr<pb::EmbedResponse> answer =
        co_await CallUnary<pb::EmbedResponse>(outgoing, request, std::move(method), kOnce);
    call.meter->NoteReceipt(answer.ok() ? answer->receipt() : usage::ReceiptOf(answer.status()));
    if (answer.ok()) {
      slots_.NoteAnswer(worker);
      co_return VectorsOf(*answer, call.input_ends.size());
    }
    last = answer.status();
    KeepSoonest(last, retry_after);
    if (TookNothing(last)) --call.meter->attempts;
    absl::IsUnavailable(last) ? slots_.NoteFailure(worker, last) : slots_.NoteAnswer(worker);
    if (IsFinal(last)) co_return last;
  }
}

}  // namespace floe::gateway
