#include "tests/services/gateway/moving/registry_process.h"

#include "absl/strings/str_cat.h"

#include "services/registry/client/checkpoint_transfer.h"
#include "services/runtime/status.h"
#include "tests/support/started.h"

namespace floe::gateway {
namespace {

runtime::OutgoingCall Developer() {
  auto call = runtime::OutgoingCall::Own("test", absl::Minutes(1));
  call.identity.team = "nlp";
  call.identity.role = "developer";
  call.identity.key_id = "key-1";
  return call;
}

}  // namespace

RegistryProcess::RegistryProcess() {
  test::ChildProcess::Options options;
  options.argv = {FLOE_REGISTRY_PROGRAM, "--insecure",   "--blob-dir",
                  dir_ / "blobs",        "--ports-file", dir_ / "ports"};
  options.environment = {"FLOE_DATABASE_URL=" + test::Postgres::Shared().CreateDatabase()};
  options.output = dir_ / "log";
  address_ = test::AddressOf(test::StartServing(options, dir_ / "ports", process_));
  channel_ = *runtime::MakeChannel(address_, {}, /*insecure=*/true);
  client_ = std::make_unique<registry::RegistryClient>(channel_);
}

std::string RegistryProcess::Publish(const std::string& model,
                                     const std::filesystem::path& checkpoint) {
  const auto version = registry::PublishCheckpoint(
      *client_, Developer(), absl::StrCat("teams/nlp/models/", model), checkpoint, {});
  return version.ok() ? version->digest() : version.status().ToString();
}

absl::Status RegistryProcess::Promote(const std::string& model, int version) {
  registry::v1::SetAliasRequest request;
  request.set_name(absl::StrCat("teams/nlp/models/", model, "/aliases/production"));
  request.set_version(absl::StrCat("teams/nlp/models/", model, "/versions/", version));
  request.set_reason("a test");
  registry::v1::Alias alias;
  grpc::ClientContext context;
  runtime::PrepareCall(context, Developer());
  return runtime::FromGrpcStatus(
      registry::v1::RegistryService::NewStub(channel_)->SetAlias(&context, request, &alias));
}

}  // namespace floe::gateway
