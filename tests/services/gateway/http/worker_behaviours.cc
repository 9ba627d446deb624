#include "tests/services/gateway/http/worker_behaviours.h"

#include <nlohmann/json.hpp>

#include "services/runtime/status.h"

namespace floe::gateway {
namespace {

namespace pb = inference::v1;
using nlohmann::json;

constexpr char kDomain[] = "inference.floe";

}  // namespace

FakeWorker::Behaviour Refuse(absl::Status refusal) {
  return
      [status = runtime::ToGrpcStatus(refusal, kDomain)](
          grpc::ServerContext&, const pb::GenerateRequest&, FakeWorker::Writer&) { return status; };
}

FakeWorker::Behaviour DieAfter(int count, absl::Status status) {
  return [count, status = runtime::ToGrpcStatus(status, kDomain)](
             grpc::ServerContext&, const pb::GenerateRequest& request, FakeWorker::Writer& writer) {
    std::string text;  // of what another worker began, with the first new letter
    for (int i = -request.continued_ids(); i < count; ++i) {
      const char letter =
          FakeWorker::LetterAt(request.sampling().seed(), i + request.continued_ids());
      text += letter;
      if (i < 0) continue;
      pb::GenerateResponse piece;
      piece.add_ids(static_cast<uint32_t>(letter));
      // The text of the last ids is held back, as of a character that is not whole yet.
      if (i + 2 < count) piece.set_text(std::exchange(text, ""));
      writer.Write(piece);
    }
    return status;
  };
}

std::string StreamedText(const HttpAnswer& answer) {
  std::string text;
  for (const std::string& event : EventsOf(answer.body)) {
    if (event == "[DONE]") continue;
    const json chunk = json::parse(event);
    for (const json& choice : chunk.value("choices", json::array())) {
      text += choice["delta"].value("content", "");
    }
  }
  return text;
}

}  // namespace floe::gateway
