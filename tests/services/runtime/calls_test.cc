// What travels with a call: identity, request id, trace, deadline; and what comes back with an
// error.
#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"
#include "services/runtime/call.h"
#include "services/runtime/status.h"
#include "tests/services/runtime/probe_process.h"

namespace floe::runtime {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;

constexpr char kTraceId[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kTraceParent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class CallsTest : public testing::Test {
 protected:
  nlohmann::json Describe(grpc::ClientContext& context, const char* command = "describe") {
    tokenizer::v1::EncodeRequest request;
    request.set_tokenizer(command);
    tokenizer::v1::EncodeResponse answer;
    const grpc::Status status = stub_->Encode(&context, request, &answer);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return nlohmann::json::parse(answer.tokenizer_digest(), nullptr, false);
  }

  ProbeProcess peer_;
  ProbeProcess probe_{{"--insecure", "--peer", peer_.address()}};
  const std::unique_ptr<tokenizer::v1::TokenizerService::Stub> stub_ = probe_.Stub();
};

TEST_F(CallsTest, TheCallersIdsAreTaken) {
  grpc::ClientContext context;
  context.AddMetadata(kTraceParentKey, kTraceParent);
  context.AddMetadata(kRequestIdKey, "request-7");
  context.AddMetadata(kTeamKey, "nlp");
  context.AddMetadata(kRoleKey, "developer");
  context.AddMetadata(kKeyIdKey, "key-1");
  const nlohmann::json seen = Describe(context);
  EXPECT_EQ(seen["trace_id"], kTraceId);
  EXPECT_NE(seen["span_id"], "b7ad6b7169203331") << "the call is a span of its own";
  EXPECT_EQ(seen["request_id"], "request-7");
  EXPECT_EQ(seen["team"], "nlp");
  EXPECT_EQ(seen["role"], "developer");
  EXPECT_EQ(seen["key_id"], "key-1");
}

TEST_F(CallsTest, ACallWithoutIdsGetsThem) {
  grpc::ClientContext first, second;
  const nlohmann::json one = Describe(first);
  const nlohmann::json two = Describe(second);
  EXPECT_EQ(one["trace_id"].get<std::string>().size(), 32u);
  EXPECT_EQ(one["request_id"].get<std::string>().size(), 26u);
  EXPECT_NE(one["trace_id"], two["trace_id"]);
  EXPECT_NE(one["request_id"], two["request_id"]);
}

TEST_F(CallsTest, ATraceParentThatBreaksTheFormatIsReplaced) {
  grpc::ClientContext context;
  context.AddMetadata(kTraceParentKey, "00-00000000000000000000000000000000-b7ad6b7169203331-01");
  EXPECT_NE(Describe(context)["trace_id"], std::string(32, '0'));
}

TEST_F(CallsTest, AllOfItReachesTheNextService) {
  grpc::ClientContext context;
  context.AddMetadata(kTraceParentKey, kTraceParent);
  context.AddMetadata(kRequestIdKey, "request-8");
  context.AddMetadata(kTeamKey, "nlp");
  context.AddMetadata(kRoleKey, "viewer");
  context.AddMetadata(kKeyIdKey, "key-2");
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  const nlohmann::json seen = Describe(context, "forward");
  EXPECT_EQ(seen["trace_id"], kTraceId);
  EXPECT_EQ(seen["request_id"], "request-8");
  EXPECT_EQ(seen["team"], "nlp");
  EXPECT_EQ(seen["role"], "viewer");
  EXPECT_EQ(seen["key_id"], "key-2");
  EXPECT_THAT(seen["seconds_left"].get<double>(), AllOf(Ge(1.0), Le(21.0)))
      << "the caller's deadline, which gRPC rounds up, not the 30 seconds of the service";
}

TEST_F(CallsTest, AUnaryCallWithoutADeadlineHasAMinute) {
  grpc::ClientContext context;
  EXPECT_THAT(Describe(context)["seconds_left"].get<double>(), AllOf(Ge(30.0), Le(60.0)));
}

TEST_F(CallsTest, ACallSeesThatItsDeadlinePassed) {
  const test::TempDir folder;
  tokenizer::v1::CountRequest request;
  request.set_tokenizer("wait");
  request.set_text(folder / "never");
  tokenizer::v1::CountResponse answer;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(300)));
  EXPECT_EQ(stub_->Count(&context, request, &answer).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(WaitUntil([&] { return std::filesystem::exists(folder / "never.cancelled"); }));
}

TEST_F(CallsTest, AnErrorCarriesItsReasonAndWhoSaidSo) {
  tokenizer::v1::CountRequest request;
  request.set_tokenizer("fail");
  tokenizer::v1::CountResponse answer;
  grpc::ClientContext context;
  context.AddMetadata(kRequestIdKey, "request-9");
  const absl::Status status = FromGrpcStatus(stub_->Count(&context, request, &answer));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no such text");
  const auto reason = ReasonOf(status);
  ASSERT_TRUE(reason.has_value());
  EXPECT_EQ(reason->reason, "TEXT_NOT_FOUND");
  EXPECT_EQ(reason->domain, "probe.floe");
  EXPECT_EQ(reason->metadata.at("text"), "x");
  // The log line of the call names the same request.
  EXPECT_TRUE(WaitUntil([&] { return probe_.log().find("request-9") != std::string::npos; }));
  EXPECT_THAT(probe_.log(), HasSubstr("TEXT_NOT_FOUND"));
}

// What is wrong with a request is for its caller: the message may quote it.
TEST_F(CallsTest, TheLogHasMessagesOfTheFleetsOwnFaultsOnly) {
  for (const char* command : {"fail", "break"}) {
    tokenizer::v1::CountRequest request;
    request.set_tokenizer(command);
    tokenizer::v1::CountResponse answer;
    grpc::ClientContext context;
    EXPECT_FALSE(stub_->Count(&context, request, &answer).ok());
  }
  EXPECT_TRUE(WaitUntil([&] { return probe_.log().find("INTERNAL") != std::string::npos; }));
  EXPECT_THAT(probe_.log(), HasSubstr("the store answered nonsense"));
  EXPECT_THAT(probe_.log(), HasSubstr("TEXT_NOT_FOUND"));
  EXPECT_THAT(probe_.log(), Not(HasSubstr("no such text")));
}

}  // namespace
}  // namespace floe::runtime
