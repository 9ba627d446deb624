// A service behind the door, real gRPC over mutual TLS, that shows what reached it.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "floe/inference/v1/inference.grpc.pb.h"
#include "floe/jobs/v1/jobs.grpc.pb.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "services/runtime/grpc_server.h"
#include "services/runtime/options.h"

namespace floe::gateway {

// Something that one thread waits for and another makes true.
class Gate {
 public:
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  // False when it is still shut after `timeout`.
  bool Wait(std::chrono::milliseconds timeout = std::chrono::seconds(30)) {
    std::unique_lock lock(mutex_);
    return opened_.wait_for(lock, timeout, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

// GetModel: the name, with what the call carried as aliases `key=value`. `teams/x/models/missing`
// is NOT_FOUND with details and trailing metadata.
class FakeRegistry final : public registry::v1::RegistryService::Service {
 public:
  grpc::Status GetModel(grpc::ServerContext* context, const registry::v1::GetModelRequest* request,
                        registry::v1::Model* answer) override;
};

// Uploads are counted, downloads are `digest` repeated 10 times as chunks.
class FakeBlobs final : public registry::v1::BlobService::Service {
 public:
  grpc::Status UploadBlob(grpc::ServerContext* context,
                          grpc::ServerReader<registry::v1::UploadBlobRequest>* reader,
                          registry::v1::Blob* answer) override;
  grpc::Status DownloadBlob(
      grpc::ServerContext* context, const registry::v1::DownloadBlobRequest* request,
      grpc::ServerWriter<registry::v1::DownloadBlobResponse>* writer) override;

  Gate may_read;                           // uploads wait for it after their first message
  std::atomic<bool> refuse_upload{false};  // answers after the first message, reading no further
};

// WatchJob sends one event and then waits for its end; CreateJob waits for `may_answer`.
class FakeJobs final : public jobs::v1::JobService::Service {
 public:
  explicit FakeJobs(std::string name) : name_(std::move(name)) {}

  grpc::Status CreateJob(grpc::ServerContext* context, const jobs::v1::CreateJobRequest* request,
                         jobs::v1::Job* answer) override;
  grpc::Status GetJob(grpc::ServerContext* context, const jobs::v1::GetJobRequest* request,
                      jobs::v1::Job* answer) override;
  grpc::Status WatchJob(grpc::ServerContext* context, const jobs::v1::WatchJobRequest* request,
                        grpc::ServerWriter<jobs::v1::JobEvent>* writer) override;

  Gate create_began, may_answer;
  Gate watch_ended;
  std::atomic<bool> watch_was_cancelled{false};

 private:
  const std::string name_;
};

class FakeWorker final : public inference::v1::InferenceService::Service {
 public:
  grpc::Status GetWorkerStatus(grpc::ServerContext* context,
                               const inference::v1::GetWorkerStatusRequest* request,
                               inference::v1::WorkerStatus* answer) override;
  std::atomic<int> calls{0};
};

// Sends every message back as it came, until the client half-closes; for methods of any name.
class EchoService final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;
};

// An echo server with mutual TLS, which GrpcServer cannot be.
class EchoServer {
 public:
  explicit EchoServer(const runtime::TlsFiles& tls);
  ~EchoServer();
  std::string address() const;

 private:
  EchoService service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace floe::gateway
