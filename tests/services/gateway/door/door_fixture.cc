#include "tests/services/gateway/door/door_fixture.h"

#include <grpcpp/generic/generic_stub.h>

#include <chrono>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/files.h"
#include "gateway/auth/postgres/key_repository.h"
#include "gateway/auth/secret.h"
#include "gateway/postgres/schema.h"
#include "services/runtime/status.h"
#include "tests/support/postgres.h"

namespace floe::gateway {
namespace {

const test::Certificates& Authority() {
  static const test::Certificates certificates;  // one a process: making them takes a while
  return certificates;
}

std::string AddressOf(const runtime::GrpcServer& server) {
  return absl::StrCat("127.0.0.1:", server.port());
}

}  // namespace

const runtime::TlsFiles& DoorTest::ServiceTls() {
  static const runtime::TlsFiles tls = [] {
    const test::Certificates::Files files = Authority().Make("service");
    return runtime::TlsFiles{files.cert, files.key, files.ca};
  }();
  return tls;
}

DoorTest::DoorTest() {
  pool_ = *postgres::Pool::Create({.dsn = test::Postgres::Shared().CreateDatabase()});
  const absl::Status migrated = MigrateSchema(*pool_);
  if (!migrated.ok()) ADD_FAILURE() << migrated;
  store_ = MakePostgresKeyStore(*pool_);
  identifier_ = std::make_unique<Identifier>(*store_, clock_);
  keys_ = std::make_unique<Keys>(Keys::Parts{*store_, *identifier_, clock_, ids_});
  keys_rpc_ = std::make_unique<KeysRpc>(calls_, *keys_);

  runtime::CommonOptions options;
  options.tls = ServiceTls();
  registry_server_ = *runtime::GrpcServer::Start(options, {&registry_, &blobs_});
  tokenizer_server_ = *runtime::GrpcServer::Start(options, {&tokenizer_jobs_});
  trainer_server_ = *runtime::GrpcServer::Start(options, {&trainer_jobs_});
  worker_server_ = *runtime::GrpcServer::Start(options, {&worker_});
  backends_ = {.registry = AddressOf(*registry_server_),
               .tokenizer = AddressOf(*tokenizer_server_),
               .trainer = AddressOf(*trainer_server_),
               .workers = {AddressOf(*worker_server_)}};
  Restart(backends_);
}

DoorTest::~DoorTest() = default;

void DoorTest::Restart(const DoorBackends& backends) {
  door_.reset();
  runtime::CommonOptions options;
  options.tls = ServiceTls();
  auto door = Door::Start(options, backends, {calls_, *identifier_, ids_, {keys_rpc_.get()}});
  ASSERT_TRUE(door.ok()) << door.status();
  door_ = *std::move(door);
  door_->SetServing(true);
  channel_ = Connect();
}

std::shared_ptr<grpc::Channel> DoorTest::Connect() {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = *ReadFile(ServiceTls().ca);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", door_->port()),
                                   grpc::SslCredentials(options), arguments);
}

std::string DoorTest::MakeKey(Role role, const std::string& team) {
  const Identity admin{kDefaultTeam, Role::kAdmin, "test"};
  const auto created = keys_->Create(admin, {team, "test", role, ""});
  EXPECT_TRUE(created.ok()) << created.status();
  return created->secret;
}

std::unique_ptr<grpc::ClientContext> DoorTest::With(const std::string& secret) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata("authorization", "Bearer " + secret);
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  return context;
}

grpc::Status DoorTest::GetModel(const std::string& secret, registry::v1::Model* answer,
                                const std::string& name) {
  registry::v1::Model ignored;
  registry::v1::GetModelRequest request;
  request.set_name(name);
  return StubOf<registry::v1::RegistryService>()->GetModel(With(secret).get(), request,
                                                           answer == nullptr ? &ignored : answer);
}

DoorTest::Raw DoorTest::Call(std::unique_ptr<grpc::ClientContext> context,
                             const std::string& method, const std::string& bytes) {
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  auto call = stub.PrepareUnaryCall(context.get(), method, request, &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  Raw raw;
  call->Finish(&answer, &raw.status, this);
  void* tag = nullptr;
  bool ok = false;
  EXPECT_TRUE(queue.Next(&tag, &ok));
  grpc::Slice whole;
  if (raw.status.ok() && answer.DumpToSingleSlice(&whole).ok()) {
    raw.answer.assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
  }
  return raw;
}

std::string DoorTest::ReasonFor(const grpc::Status& status) {
  const auto reason = ReasonOf(runtime::FromGrpcStatus(status));
  return reason ? reason->reason : "";
}

std::string DoorTest::log() {
  std::lock_guard lock(log_mutex_);
  return log_;
}

}  // namespace floe::gateway
