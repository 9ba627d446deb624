#include "tests/services/gateway/door/fake_backend.h"

#include <chrono>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"
#include "services/runtime/status.h"
#include "services/runtime/tls.h"

namespace floe::gateway {

grpc::Status FakeRegistry::GetModel(grpc::ServerContext* context,
                                    const registry::v1::GetModelRequest* request,
                                    registry::v1::Model* answer) {
  context->AddInitialMetadata("x-served-by", "registry");
  if (request->name() == "teams/x/models/missing") {
    context->AddTrailingMetadata("x-hint", "look elsewhere");
    return runtime::ToGrpcStatus(WithReason(absl::NotFoundError("there is no model missing"),
                                            "MODEL_NOT_FOUND", {{"model", "missing"}}),
                                 "registry.floe");
  }
  answer->set_name(request->name());
  for (const auto& [key, value] : context->client_metadata()) {
    const std::string text(value.data(), value.size());
    const bool binary = key.ends_with("-bin");  // a string field holds UTF-8 only
    answer->add_aliases()->set_name(std::string(key.data(), key.size()) + "=" +
                                    (binary ? absl::BytesToHexString(text) : text));
  }
  if (context->deadline() != std::chrono::system_clock::time_point::max()) {
    const auto left = context->deadline() - std::chrono::system_clock::now();
    answer->set_version_count(std::chrono::duration_cast<std::chrono::seconds>(left).count());
  }
  return grpc::Status::OK;
}

grpc::Status FakeBlobs::UploadBlob(grpc::ServerContext*,
                                   grpc::ServerReader<registry::v1::UploadBlobRequest>* reader,
                                   registry::v1::Blob* answer) {
  registry::v1::UploadBlobRequest request;
  if (!reader->Read(&request)) return {grpc::StatusCode::INVALID_ARGUMENT, "nothing came"};
  answer->set_digest(request.info().digest());
  if (refuse_upload) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "the disk is full"};
  if (!may_read.Wait()) return {grpc::StatusCode::INTERNAL, "the gate stayed shut"};
  int64_t bytes = 0;
  while (reader->Read(&request)) bytes += static_cast<int64_t>(request.chunk().size());
  answer->set_size_bytes(bytes);
  return grpc::Status::OK;
}

grpc::Status FakeBlobs::DownloadBlob(
    grpc::ServerContext*, const registry::v1::DownloadBlobRequest* request,
    grpc::ServerWriter<registry::v1::DownloadBlobResponse>* writer) {
  for (int i = 0; i < 10; ++i) {
    registry::v1::DownloadBlobResponse response;
    response.set_chunk(request->digest() + std::to_string(i));
    if (!writer->Write(response)) break;
  }
  return grpc::Status::OK;
}

grpc::Status FakeJobs::CreateJob(grpc::ServerContext*, const jobs::v1::CreateJobRequest*,
                                 jobs::v1::Job* answer) {
  create_began.Open();
  if (!may_answer.Wait()) return {grpc::StatusCode::INTERNAL, "the gate stayed shut"};
  answer->set_name("teams/default/jobs/" + name_ + "-1");
  return grpc::Status::OK;
}

grpc::Status FakeJobs::GetJob(grpc::ServerContext*, const jobs::v1::GetJobRequest*,
                              jobs::v1::Job* answer) {
  answer->set_runner(name_);
  return grpc::Status::OK;
}

grpc::Status FakeJobs::WatchJob(grpc::ServerContext* context, const jobs::v1::WatchJobRequest*,
                                grpc::ServerWriter<jobs::v1::JobEvent>* writer) {
  jobs::v1::JobEvent event;
  event.set_sequence(1);
  writer->Write(event);
  // A stream that has nothing to say: what ends it is its client's cancellation.
  Gate never;
  for (int i = 0; i < 3000 && !context->IsCancelled(); ++i)
    never.Wait(std::chrono::milliseconds(10));
  watch_was_cancelled = context->IsCancelled();
  watch_ended.Open();
  return grpc::Status::OK;
}

grpc::Status FakeWorker::GetWorkerStatus(grpc::ServerContext*,
                                         const inference::v1::GetWorkerStatusRequest*,
                                         inference::v1::WorkerStatus*) {
  ++calls;
  return grpc::Status::OK;
}

grpc::ServerGenericBidiReactor* EchoService::CreateReactor(grpc::GenericCallbackServerContext*) {
  class Echo final : public grpc::ServerGenericBidiReactor {
   public:
    Echo() { StartRead(&message_); }
    void OnReadDone(bool ok) override {
      if (ok) {
        StartWrite(&message_);
      } else {
        Finish(grpc::Status::OK);
      }
    }
    void OnWriteDone(bool ok) override {
      if (ok) StartRead(&message_);
    }
    void OnDone() override { delete this; }

   private:
    grpc::ByteBuffer message_;
  };
  return new Echo();
}

EchoServer::EchoServer(const runtime::TlsFiles& tls) {
  grpc::ServerBuilder builder;
  runtime::SetServerLimits(builder, 16);
  builder.AddListeningPort("127.0.0.1:0", *runtime::MutualTlsServer(tls, false, ""), &port_);
  builder.RegisterCallbackGenericService(&service_);
  server_ = builder.BuildAndStart();
  EXPECT_NE(port_, 0);
}

EchoServer::~EchoServer() { server_->Shutdown(std::chrono::system_clock::now()); }

std::string EchoServer::address() const { return "127.0.0.1:" + std::to_string(port_); }

}  // namespace floe::gateway
