// A door with real keys in Postgres, in front of fake services behind mutual TLS.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/postgres/pool.h"
#include "gateway/auth/identify.h"
#include "gateway/auth/keys.h"
#include "services/gateway/door/door.h"
#include "services/gateway/keys_rpc.h"
#include "services/runtime/call.h"
#include "tests/services/gateway/door/fake_backend.h"
#include "tests/support/certificates.h"

namespace floe::gateway {

class DoorTest : public testing::Test {
 protected:
  DoorTest();
  ~DoorTest() override;

  // A key of `team`; its secret.
  std::string MakeKey(Role role, const std::string& team = "default");

  // A context that carries `secret` and a deadline of 30 s.
  static std::unique_ptr<grpc::ClientContext> With(const std::string& secret);

  // A channel to the door as a person's program makes it: the authority, no certificate.
  std::shared_ptr<grpc::Channel> Connect();
  std::shared_ptr<grpc::Channel> channel() { return channel_; }

  template <typename Service>
  std::unique_ptr<typename Service::Stub> StubOf() {
    return Service::NewStub(channel_);
  }

  // The registry's GetModel through the door.
  grpc::Status GetModel(const std::string& secret, registry::v1::Model* answer = nullptr,
                        const std::string& name = "teams/default/models/hamlet");

  // A unary call of any method with any bytes.
  struct Raw {
    grpc::Status status;
    std::string answer;
  };
  Raw Call(std::unique_ptr<grpc::ClientContext> context, const std::string& method,
           const std::string& bytes);

  static std::string ReasonFor(const grpc::Status& status);
  std::string log();

  // Ends the door and starts one before other backends.
  void Restart(const DoorBackends& backends);

  // Of one authority for the whole process; the door and the services share it.
  static const runtime::TlsFiles& ServiceTls();

  SystemClock clock_;
  UlidGenerator ids_{clock_};
  std::mutex log_mutex_;
  std::string log_;  // guarded by log_mutex_
  runtime::Logger logger_{"gateway", runtime::LogLevel::kDebug, [this](std::string_view line) {
                            std::lock_guard lock(log_mutex_);
                            log_ += std::string(line) + "\n";
                          }};
  runtime::Metrics metrics_;
  runtime::Calls calls_{{logger_, metrics_, clock_, ids_, "gateway.floe"}};
  std::unique_ptr<postgres::Pool> pool_;
  std::unique_ptr<KeyStore> store_;
  std::unique_ptr<Identifier> identifier_;
  std::unique_ptr<Keys> keys_;
  std::unique_ptr<KeysRpc> keys_rpc_;

  FakeRegistry registry_;
  FakeBlobs blobs_;
  FakeJobs tokenizer_jobs_{"tokenizer"}, trainer_jobs_{"trainer"};
  FakeWorker worker_;
  std::unique_ptr<runtime::GrpcServer> registry_server_, tokenizer_server_, trainer_server_,
      worker_server_;
  DoorBackends backends_;
  std::unique_ptr<Door> door_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace floe::gateway
