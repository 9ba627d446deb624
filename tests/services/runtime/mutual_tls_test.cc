// Behind the door, only peers of the same authority are heard.
#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/error_reason.h"
#include "base/files.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"
#include "tests/services/runtime/probe_process.h"

namespace floe::runtime {
namespace {

using ::testing::HasSubstr;

// Certificates made with the openssl command: an authority and leaves of it; the one that is called
// "service" serves for both ends.
class Authority {
 public:
  Authority() {
    Openssl({"req", "-x509", "-subj", "/CN=authority", "-keyout", At("ca.key"), "-out",
             At("ca.pem"), "-addext", "basicConstraints=critical,CA:TRUE"});
    leaf_ = MakeLeaf("/CN=service");
  }
  // Of another service: "/CN=floe-worker", or "/" for none by its common name.
  TlsFiles MakeLeaf(const std::string& subject, const std::string& dns = "localhost") {
    const std::string stem = absl::StrCat("leaf", ++leaves_);
    const TlsFiles files{At(stem + ".pem"), At(stem + ".key"), At("ca.pem")};
    Openssl({"req", "-x509", "-subj", subject, "-CA", At("ca.pem"), "-CAkey", At("ca.key"),
             "-keyout", files.key, "-out", files.cert, "-addext",
             "subjectAltName=IP:127.0.0.1,DNS:" + dns, "-addext",
             "basicConstraints=critical,CA:FALSE"});
    return files;
  }
  const TlsFiles& files() const { return leaf_; }
  std::vector<std::string> flags() const {
    return {"--tls-cert", leaf_.cert, "--tls-key", leaf_.key, "--tls-ca", leaf_.ca};
  }
  std::string root() const { return ReadFile(At("ca.pem")).value_or(""); }

 private:
  std::string At(const std::string& name) const { return folder_ / name; }
  void Openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "/usr/bin/openssl");
    for (const char* argument :
         {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2"}) {
      arguments.push_back(argument);
    }
    const auto code =
        test::ChildProcess::Run({.argv = arguments, .output = folder_ / "log"}, absl::Minutes(1));
    ASSERT_TRUE(code.ok()) << code.status();
    ASSERT_EQ(*code, 0) << ReadFile(folder_ / "log").value_or("");
  }

  test::TempDir folder_;
  TlsFiles leaf_;
  int leaves_ = 0;
};

class MutualTlsTest : public testing::Test {
 protected:
  grpc::Status Ask(const std::shared_ptr<grpc::Channel>& channel) {
    tokenizer::v1::CountRequest request;
    tokenizer::v1::CountResponse answer;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    return tokenizer::v1::TokenizerService::NewStub(channel)->Count(&context, request, &answer);
  }

  Authority authority_;
  ProbeProcess probe_{authority_.flags()};
};

TEST_F(MutualTlsTest, APeerOfTheAuthorityIsHeard) {
  const auto channel = MakeChannel(probe_.address(), authority_.files(), /*insecure=*/false);
  ASSERT_TRUE(channel.ok()) << channel.status();
  const grpc::Status status = Ask(*channel);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

// The probe lets `worker` count, and nothing else.
TEST_F(MutualTlsTest, APeerMayDoWhatItsNameAllows) {
  for (const TlsFiles& files :
       {authority_.MakeLeaf("/CN=floe-worker"),
        authority_.MakeLeaf("/O=acme", "acme-floe-worker.floe.svc.cluster.local")}) {
    const auto channel = MakeChannel(probe_.address(), files, /*insecure=*/false);
    ASSERT_TRUE(channel.ok()) << channel.status();
    EXPECT_EQ(Ask(*channel).error_code(), grpc::StatusCode::OK);
    tokenizer::v1::EncodeRequest request;
    tokenizer::v1::EncodeResponse answer;
    grpc::ClientContext context;
    context.AddMetadata(kTeamKey, "default");
    context.AddMetadata(kRoleKey, "admin");
    const absl::Status refused = FromGrpcStatus(
        tokenizer::v1::TokenizerService::NewStub(*channel)->Encode(&context, request, &answer));
    EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_EQ(ReasonOf(refused)->reason, "PEER_NOT_ALLOWED");
  }
}

TEST_F(MutualTlsTest, APeerThatNoRuleNamesMayDoNothing) {
  for (const TlsFiles& files :
       {authority_.MakeLeaf("/CN=floe-stranger"), authority_.MakeLeaf("/O=acme")}) {
    const auto channel = MakeChannel(probe_.address(), files, /*insecure=*/false);
    ASSERT_TRUE(channel.ok()) << channel.status();
    EXPECT_EQ(Ask(*channel).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  }
}

TEST_F(MutualTlsTest, APeerWithoutACertificateIsRefused) {
  grpc::SslCredentialsOptions only_root;
  only_root.pem_root_certs = authority_.root();
  EXPECT_EQ(
      Ask(grpc::CreateChannel(probe_.address(), grpc::SslCredentials(only_root))).error_code(),
      grpc::StatusCode::UNAVAILABLE);
}

TEST_F(MutualTlsTest, APlainPeerIsRefused) {
  EXPECT_EQ(
      Ask(grpc::CreateChannel(probe_.address(), grpc::InsecureChannelCredentials())).error_code(),
      grpc::StatusCode::UNAVAILABLE);
}

TEST_F(MutualTlsTest, APeerOfAnotherAuthorityIsRefused) {
  const Authority other;
  TlsFiles files = other.files();
  files.ca = authority_.files().ca;  // it trusts the service; the service does not trust it
  const auto channel = MakeChannel(probe_.address(), files, /*insecure=*/false);
  EXPECT_EQ(Ask(*channel).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(MutualTlsTest, AServiceOfAnotherAuthorityIsNotSpokenTo) {
  const Authority other;
  TlsFiles files = authority_.files();
  files.ca = other.files().ca;
  const auto channel = MakeChannel(probe_.address(), files, /*insecure=*/false);
  EXPECT_EQ(Ask(*channel).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(TlsOptions, WithoutCertificatesAServiceDoesNotStart) {
  const Ended ended = RunProbe({});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.output, HasSubstr("--tls-key is not set"));
}

TEST(TlsOptions, AFileThatIsMissingOrNoPemIsNamed) {
  const test::TempDir folder;
  const std::string missing = folder / "missing.key";
  EXPECT_THAT(RunProbe({"--tls-key", missing}).output, HasSubstr(missing));
  const std::string text = folder.Write("text.key", "hello");
  EXPECT_THAT(RunProbe({"--tls-key", text}).output, HasSubstr("is not a PEM file"));
}

TEST(TlsOptions, InsecureIsForTheLoopbackAddressOnly) {
  const Ended ended = RunProbe({"--insecure", "--listen", "0.0.0.0:0"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.output, HasSubstr("--insecure is for tests on the loopback address"));
}

}  // namespace
}  // namespace floe::runtime
