#include <grpcpp/grpcpp.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/files.h"
#include "tests/services/runtime/http_get.h"
#include "tests/services/runtime/probe_process.h"

namespace floe::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(SidePort, SaysWhetherTheProcessLivesAndMayBeSentWork) {
  const test::TempDir folder;
  const std::string unready = folder / "unready";
  ProbeProcess probe({"--insecure", "--unready-file", unready});
  EXPECT_EQ(HttpGet(probe.port("side"), "/healthz").status, 200);
  EXPECT_EQ(HttpGet(probe.port("side"), "/readyz").status, 200);
  folder.Write("unready", "");
  const HttpAnswer answer = HttpGet(probe.port("side"), "/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("store: UNAVAILABLE: the store is away"));
  EXPECT_EQ(HttpGet(probe.port("side"), "/healthz").status, 200);
  std::filesystem::remove(folder / "unready");
  EXPECT_EQ(HttpGet(probe.port("side"), "/readyz").status, 200);
  EXPECT_EQ(HttpGet(probe.port("side"), "/nowhere").status, 404);
}

TEST(SidePort, CountsAndTimesEveryMethodByItsCode) {
  ProbeProcess probe;
  const auto stub = probe.Stub();
  const auto count = [&](const char* command) {
    tokenizer::v1::CountRequest request;
    request.set_tokenizer(command);
    tokenizer::v1::CountResponse answer;
    grpc::ClientContext context;
    return stub->Count(&context, request, &answer);
  };
  EXPECT_TRUE(count("size").ok());
  EXPECT_TRUE(count("size").ok());
  EXPECT_EQ(count("fail").error_code(), grpc::StatusCode::NOT_FOUND);
  const std::string metrics = HttpGet(probe.port("side"), "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr(R"(floe_rpc_calls_total{code="OK",method="probe.Count"} 2)"));
  EXPECT_THAT(metrics,
              HasSubstr(R"(floe_rpc_calls_total{code="NOT_FOUND",method="probe.Count"} 1)"));
  EXPECT_THAT(metrics, HasSubstr(R"(floe_rpc_seconds_count{method="probe.Count"} 3)"));
  EXPECT_THAT(metrics, HasSubstr(R"(floe_rpc_seconds_bucket{method="probe.Count",le="+Inf"} 3)"));
}

TEST(StartUp, LogsTheConfigurationWithSecretsMasked) {
  ProbeProcess probe({"--insecure", "--drain-grace", "7s"}, {"FLOE_TOKEN=hunter2"});
  EXPECT_THAT(probe.log(), HasSubstr("starting"));
  EXPECT_THAT(probe.log(), HasSubstr("7s"));
  EXPECT_THAT(probe.log(), HasSubstr("***"));
  EXPECT_THAT(probe.log(), Not(HasSubstr("hunter2")));
}

TEST(StartUp, AMistakeInTheConfigurationEndsItWithCode2) {
  const Ended ended = RunProbe({"--no-such-flag"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.output, HasSubstr("no-such-flag"));
}

TEST(StartUp, AnAddressThatCannotBeListenedOnIsNamed) {
  const Ended ended = RunProbe({"--insecure", "--side-listen", "nonsense"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.output, HasSubstr("--side-listen"));
}

}  // namespace
}  // namespace floe::runtime
