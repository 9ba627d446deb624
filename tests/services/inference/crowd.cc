#include "tests/services/inference/crowd.h"

#include <chrono>

namespace floe::inference {

Crowd::Crowd(v1::InferenceService::Stub& stub, const v1::GenerateRequest& request, int count)
    : stub_(stub) {
  for (int i = 0; i < count; ++i) {
    Stream& stream = streams_.emplace_back();
    stream.reader = stub.Generate(&stream.context, request);
  }
}

Crowd::~Crowd() {
  for (Stream& stream : streams_) stream.context.TryCancel();
  for (Stream& stream : streams_) stream.reader->Finish();
}

bool Crowd::Await(int waiting) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  do {
    grpc::ClientContext context;
    v1::WorkerStatus status;
    if (!stub_.GetWorkerStatus(&context, {}, &status).ok()) return false;
    if (status.requests_waiting() >= waiting) return true;
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

v1::GenerateRequest LongPrompt(const std::string& digest, int ids) {
  v1::GenerateRequest request;
  request.set_checkpoint_digest(digest);
  for (int i = 0; i < ids; ++i) request.add_prompt_ids(static_cast<uint32_t>(i % 250));
  request.set_max_tokens(1);
  return request;
}

}  // namespace floe::inference
