// Who gets through the door, and as whom.
#include "base/files.h"
#include "floe/tokenizer/v1/tokenizer.grpc.pb.h"
#include "gateway/auth/secret.h"
#include "services/gateway/door/door.h"
#include "tests/services/gateway/door/door_fixture.h"

namespace floe::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> Carried(const registry::v1::Model& model) {
  std::vector<std::string> carried;
  for (const auto& alias : model.aliases()) carried.push_back(alias.name());
  return carried;
}

std::string ValueOf(const registry::v1::Model& model, const std::string& key) {
  std::string value;
  for (const std::string& line : Carried(model)) {
    if (line.rfind(key + "=", 0) == 0) value += line.substr(key.size() + 1) + ";";
  }
  return value;
}

TEST_F(DoorTest, WithoutAKeyNothingIsForwarded) {
  grpc::ClientContext context;
  registry::v1::Model answer;
  const grpc::Status status =
      StubOf<registry::v1::RegistryService>()->GetModel(&context, {}, &answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(ReasonFor(status), "KEY_MISSING");
}

TEST_F(DoorTest, AMalformedAnUnknownAndARevokedKeyAreToldApart) {
  EXPECT_EQ(ReasonFor(GetModel("hello")), "KEY_MALFORMED");
  const std::string stranger = NewSecret();
  const grpc::Status unknown = GetModel(stranger);
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(ReasonFor(unknown), "KEY_UNKNOWN");

  const std::string secret = MakeKey(Role::kViewer);
  ASSERT_TRUE(GetModel(secret).ok());
  const auto who = identifier_->Identify(secret);
  ASSERT_TRUE(keys_->Revoke({kDefaultTeam, Role::kAdmin, "test"}, kDefaultTeam, who->key_id).ok());
  const grpc::Status revoked = GetModel(secret);
  EXPECT_EQ(revoked.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(ReasonFor(revoked), "KEY_REVOKED");
  EXPECT_THAT(log(), Not(HasSubstr(secret.substr(kPrefixLength)))) << "a log never holds a key";
  EXPECT_THAT(log(), Not(HasSubstr(stranger.substr(kPrefixLength))));
}

TEST_F(DoorTest, AnExpiredKeyIsRefusedAlsoWhileItIsRemembered) {
  const std::string secret = NewSecret();
  const auto stored = store_->Insert({{.id = ids_.Next(),
                                       .team = kDefaultTeam,
                                       .role = Role::kAdmin,
                                       .prefix = SecretPrefix(secret),
                                       .create_time = clock_.Now(),
                                       .expire_time = clock_.Now() - absl::Seconds(1)},
                                      *HashSecret(secret),
                                      ""});
  ASSERT_TRUE(stored.ok()) << stored.status();
  for (int i = 0; i < 2; ++i) {
    const grpc::Status expired = GetModel(secret);
    EXPECT_EQ(expired.error_code(), grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(ReasonFor(expired), "KEY_EXPIRED");
    EXPECT_THAT(expired.error_message(), HasSubstr("expired at"));
  }
}

TEST_F(DoorTest, ARoleTooLowIsRefusedByTheNameOfTheRoleNeeded) {
  const std::string viewer = MakeKey(Role::kViewer);
  jobs::v1::Job job;
  auto context = With(viewer);
  context->AddMetadata("x-floe-service", "trainer");
  const grpc::Status status = StubOf<jobs::v1::JobService>()->CreateJob(context.get(), {}, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("needs the role developer"));
  EXPECT_EQ(ReasonFor(status), "ROLE_TOO_LOW");

  tokenizer::v1::EncodeResponse encoded;
  const grpc::Status encode =
      StubOf<tokenizer::v1::TokenizerService>()->Encode(With(viewer).get(), {}, &encoded);
  EXPECT_EQ(encode.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(encode.error_message(), HasSubstr("needs the role consumer"));
}

TEST_F(DoorTest, WhatAClientSaysAboutItselfIsIgnored) {
  auto context = With(MakeKey(Role::kViewer, "nlp"));
  context->AddMetadata("x-floe-team", "web");
  context->AddMetadata("x-floe-role", "admin");
  context->AddMetadata("x-floe-key-id", "someone");
  context->AddMetadata("x-floe-anything", "at all");
  context->AddMetadata("x-custom", "kept");
  context->AddMetadata("blob-bin", std::string("\0\xff\1", 3));
  registry::v1::Model model;
  ASSERT_TRUE(StubOf<registry::v1::RegistryService>()->GetModel(context.get(), {}, &model).ok());
  EXPECT_EQ(ValueOf(model, "x-floe-team"), "nlp;");
  EXPECT_EQ(ValueOf(model, "x-floe-role"), "viewer;");
  EXPECT_THAT(ValueOf(model, "x-floe-key-id"), Not(HasSubstr("someone")));
  EXPECT_EQ(ValueOf(model, "x-floe-anything"), "");
  EXPECT_EQ(ValueOf(model, "authorization"), "") << "the key stays at the door";
  EXPECT_EQ(ValueOf(model, "x-custom"), "kept;");
  EXPECT_EQ(ValueOf(model, "blob-bin"), "00ff01;");
  EXPECT_THAT(log(), Not(HasSubstr("\"web\""))) << "nor does a log believe it";
}

TEST_F(DoorTest, RequestIdAndTraceAreCarriedOrMade) {
  auto context = With(MakeKey(Role::kViewer));
  context->AddMetadata("x-request-id", "my-request");
  context->AddMetadata("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  registry::v1::Model model;
  ASSERT_TRUE(StubOf<registry::v1::RegistryService>()->GetModel(context.get(), {}, &model).ok());
  EXPECT_EQ(ValueOf(model, "x-request-id"), "my-request;");
  EXPECT_THAT(ValueOf(model, "traceparent"), StartsWith("00-0af7651916cd43dd8448eb211c80319c-"));
  EXPECT_THAT(ValueOf(model, "traceparent"), Not(HasSubstr("b7ad6b7169203331")));
  const auto& sent = context->GetServerInitialMetadata();
  ASSERT_NE(sent.find("x-request-id"), sent.end());
  EXPECT_EQ(sent.find("x-request-id")->second, "my-request");

  ASSERT_TRUE(GetModel(MakeKey(Role::kViewer), &model).ok());
  EXPECT_EQ(ValueOf(model, "x-request-id").size(), 27u) << "a ULID of the door's";
}

TEST_F(DoorTest, LeasesAndMethodsThatDoNotExistAreRefusedEvenToAnAdmin) {
  const std::string admin = MakeKey(Role::kAdmin);
  jobs::v1::AcquireLeaseResponse lease;
  auto context = With(admin);
  context->AddMetadata("x-floe-service", "trainer");
  const grpc::Status status =
      StubOf<jobs::v1::LeaseService>()->AcquireLease(context.get(), {}, &lease);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ReasonFor(status), "METHOD_INTERNAL");

  const Raw unknown = Call(With(admin), "/floe.registry.v1.RegistryService/DropAll", "");
  EXPECT_EQ(unknown.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(unknown.status.error_message(), HasSubstr("DropAll"));
}

TEST_F(DoorTest, HealthNeedsNoKey) {
  const Raw serving =
      Call(std::make_unique<grpc::ClientContext>(), "/grpc.health.v1.Health/Check", "");
  ASSERT_TRUE(serving.status.ok()) << serving.status.error_message();
  EXPECT_EQ(serving.answer, "\x08\x01") << "HealthCheckResponse{status: SERVING}";
  door_->SetServing(false);
  EXPECT_EQ(
      Call(std::make_unique<grpc::ClientContext>(), "/grpc.health.v1.Health/Check", "").answer,
      "\x08\x02");
}

TEST_F(DoorTest, ABackendTakesNoCallPastTheDoor) {
  grpc::SslCredentialsOptions options;  // the authority is known, a certificate is not shown
  options.pem_root_certs = *ReadFile(ServiceTls().ca);
  auto direct = grpc::CreateChannel(backends_.registry, grpc::SslCredentials(options));
  grpc::ClientContext context;
  context.AddMetadata("x-floe-team", "default");
  registry::v1::Model model;
  const grpc::Status status =
      registry::v1::RegistryService::NewStub(direct)->GetModel(&context, {}, &model);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(DoorTest, CallsAreCountedByMethodAndCodeAndStrangeMethodsAsOne) {
  ASSERT_TRUE(GetModel(MakeKey(Role::kViewer)).ok());
  EXPECT_EQ(GetModel("hello").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  for (const char* method : {"/strange/One", "/strange/Two"}) {
    EXPECT_FALSE(Call(With(MakeKey(Role::kViewer)), method, "").status.ok());
  }
  const std::string metrics = metrics_.Exposition();
  EXPECT_THAT(metrics, HasSubstr("/floe.registry.v1.RegistryService/GetModel"));
  EXPECT_THAT(metrics, HasSubstr("UNAUTHENTICATED"));
  EXPECT_THAT(metrics, HasSubstr("method=\"unknown\""));
  EXPECT_THAT(metrics, Not(HasSubstr("strange")));
}

}  // namespace
}  // namespace floe::gateway
