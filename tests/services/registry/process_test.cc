// floe-registry as a process: configuration, serving, drain, collection.
#include <csignal>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/sha256.h"
#include "services/registry/client/registry_client.h"
#include "services/runtime/client.h"
#include "tests/support/child_process.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_dir.h"

namespace floe::registry {
namespace {

using test::ChildProcess;
using testing::HasSubstr;

class RegistryProcessTest : public testing::Test {
 protected:
  ChildProcess::Options Command(const std::vector<std::string>& arguments) {
    ChildProcess::Options options;
    options.argv = {FLOE_REGISTRY_PROGRAM, "--insecure",   "--blob-dir",    dir_ / "blobs",
                    "--ports-file",        dir_ / "ports", "--drain-grace", "10s"};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.environment = {"FLOE_DATABASE_URL=" + database_};
    options.output = dir_ / "log";
    return options;
  }
  std::string Log() { return ReadFile(dir_ / "log").value_or(""); }
  int Run(const std::vector<std::string>& arguments) {
    const auto code = ChildProcess::Run(Command(arguments), absl::Seconds(60));
    EXPECT_TRUE(code.ok()) << code.status();
    return code.value_or(-1);
  }
  // Starts the service and waits until it has written where it listens.
  void Start() {
    std::filesystem::remove(dir_ / "ports");
    auto service = ChildProcess::Start(Command({}));
    ASSERT_TRUE(service.ok()) << service.status();
    service_ = *std::move(service);
    while (!std::filesystem::exists(dir_ / "ports")) {
      ASSERT_FALSE(service_.Wait(absl::Milliseconds(20)).has_value()) << Log();
    }
    const auto ports = nlohmann::json::parse(*ReadFile(dir_ / "ports"));
    const auto channel = runtime::MakeChannel(absl::StrCat("127.0.0.1:", ports["grpc"].get<int>()),
                                              {}, /*insecure=*/true);
    ASSERT_TRUE(channel.ok()) << channel.status();
    client_ = std::make_unique<RegistryClient>(*channel);
  }
  void Stop() {
    client_.reset();  // an idle channel notices the server's goodbye only seconds later
    service_.Signal(SIGTERM);
    EXPECT_EQ(service_.Wait(absl::Seconds(30)), 0) << Log();
  }
  static runtime::OutgoingCall Nlp() {
    auto call = runtime::OutgoingCall::Own("test", absl::Minutes(1));
    call.identity.team = "nlp";
    return call;
  }

  test::TempDir dir_;
  std::string database_ = test::Postgres::Shared().CreateDatabase();
  ChildProcess service_;
  std::unique_ptr<RegistryClient> client_;
};

TEST_F(RegistryProcessTest, ServesDrainsAndFindsEverythingAgain) {
  Start();
  const auto blob = client_->UploadBytes(Nlp(), "corpus");
  ASSERT_TRUE(blob.ok()) << blob.status();
  v1::CreateDatasetRequest request;
  request.set_parent("teams/nlp");
  request.set_dataset_id("wordnet");
  request.mutable_dataset()->set_digest(blob->digest());
  request.mutable_dataset()->set_format("text");
  ASSERT_TRUE(client_->CreateDataset(Nlp(), request).ok());
  ASSERT_TRUE(client_->UploadBytes(Nlp(), "never used").ok());
  Stop();

  ASSERT_EQ(Run({"--collect", "--collect-dry-run", "--collect-grace", "0s"}), 0) << Log();
  EXPECT_THAT(Log(), HasSubstr("would remove blob"));
  ASSERT_EQ(Run({"--collect", "--collect-grace", "0s"}), 0) << Log();
  EXPECT_THAT(Log(), HasSubstr(Sha256::Hex("never used")));

  Start();
  EXPECT_EQ(*client_->DownloadBytes(Nlp(), blob->digest(), 100), "corpus");
  EXPECT_EQ(client_->GetDataset(Nlp(), "teams/nlp/datasets/wordnet")->digest(), blob->digest());
  EXPECT_TRUE(absl::IsNotFound(client_->GetBlob(Nlp(), Sha256::Hex("never used")).status()));
  Stop();
}

TEST_F(RegistryProcessTest, SaysWhatIsMissingInItsConfiguration) {
  database_.clear();
  EXPECT_EQ(Run({}), 2);
  EXPECT_THAT(Log(), HasSubstr("FLOE_DATABASE_URL"));
  database_ = "host=/nowhere";
  EXPECT_EQ(Run({"--collect-dry-run"}), 2);
  EXPECT_THAT(Log(), HasSubstr("--collect"));
  EXPECT_EQ(Run({}), 1) << "no database there";
}

TEST_F(RegistryProcessTest, MigratesAndExits) {
  EXPECT_EQ(Run({"--migrate"}), 0) << Log();
  EXPECT_FALSE(std::filesystem::exists(dir_ / "blobs"));
}

}  // namespace
}  // namespace floe::registry
