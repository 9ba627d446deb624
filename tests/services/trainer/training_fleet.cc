#include "tests/services/trainer/training_fleet.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "tests/services/runtime/http_get.h"
#include "tests/support/postgres.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "tokenizer/chat_template.h"

namespace floe::trainer {

runtime::OutgoingCall As(const std::string& team) {
  auto call = runtime::OutgoingCall::Own("test", absl::Minutes(2));
  call.identity.team = team;
  call.identity.role = "developer";
  return call;
}

TrainingFleet::TrainingFleet() : dsn_(test::Postgres::Shared().CreateDatabase()) {
  registry_address_ = StartService("floe-registry", {"--blob-dir", dir_ / "blobs"});
  trainer_address_ =
      StartService("floe-trainer", {"--runner-memory-mib", "4096", "--registry", registry_address_,
                                    "--lease", "2s", "--heartbeat-interval", "500ms"});
  FillRegistry();
}

std::shared_ptr<grpc::Channel> TrainingFleet::Channel(const std::string& address) {
  return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
}

test::ChildProcess TrainingFleet::Start(const std::string& program,
                                        std::vector<std::string> arguments) {
  std::vector<std::string> argv = {absl::StrCat(FLOE_BIN, "/", program), "--insecure",
                                   "--ports-file", dir_ / (program + ".ports")};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  auto child = test::ChildProcess::Start({.argv = argv,
                                          .environment = {absl::StrCat("FLOE_DATABASE_URL=", dsn_)},
                                          .output = dir_ / (program + ".log")});
  EXPECT_TRUE(child.ok()) << child.status();
  return child.ok() ? *std::move(child) : test::ChildProcess();
}

std::string TrainingFleet::StartService(const std::string& program,
                                        std::vector<std::string> arguments) {
  services_.push_back(Start(program, std::move(arguments)));
  for (int look = 0; look < 3000; ++look) {
    const auto ports = ReadFile(dir_ / (program + ".ports"));
    if (ports.ok()) {
      return absl::StrCat("127.0.0.1:", nlohmann::json::parse(*ports)["grpc"].get<int>());
    }
    if (services_.back().Wait(absl::Milliseconds(10))) break;  // woken up by an early end
  }
  ADD_FAILURE() << program
                << " does not serve: " << ReadFile(dir_ / (program + ".log")).value_or("no log");
  return "127.0.0.1:1";
}

void TrainingFleet::StartRunner() {
  StartRunnerWith({"--queues", absl::StrCat("trainer=", trainer_address_), "--memory-mib", "4096"});
}

void TrainingFleet::StartRunnerWith(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"--registry",  registry_address_, "--work-dir",
                                  dir_ / "work", "--threads",       "1"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  runner_ = Start("floe-runner", all);
}

std::string TrainingFleet::RunnerMetrics() const {
  const auto ports = ReadFile(dir_ / "floe-runner.ports");
  EXPECT_TRUE(ports.ok()) << ports.status();
  if (!ports.ok()) return "";
  return runtime::HttpGet(nlohmann::json::parse(*ports)["side"].get<int>(), "/metrics").body;
}

void TrainingFleet::KillRunner() {
  runner_.Signal(SIGKILL);
  EXPECT_EQ(runner_.Wait(absl::Seconds(30)), 128 + SIGKILL);
}

void TrainingFleet::FillRegistry() {
  registry::RegistryClient registry(this->registry());
  std::string corpus;
  for (int i = 0; i < 400; ++i) {
    absl::StrAppend(&corpus, "The number ", i, " follows the number ", i - 1, ".\n\n");
  }
  const auto text = registry.UploadBytes(As("nlp"), corpus);
  ASSERT_TRUE(text.ok()) << text.status();
  dataset_digest_ = text->digest();
  registry::v1::CreateDatasetRequest dataset;
  dataset.set_parent("teams/nlp");
  dataset.set_dataset_id("numbers");
  dataset.mutable_dataset()->set_digest(dataset_digest_);
  dataset.mutable_dataset()->set_format("text");
  dataset.mutable_dataset()->set_documents(400);
  ASSERT_TRUE(registry.CreateDataset(As("nlp"), dataset).ok());

  const auto sample = tokenizer::SampleTokenizer();
  const auto file = registry.UploadBytes(As("nlp"), sample->ToJson());
  const auto config = registry.UploadBytes(As("nlp"), tokenizer::TokenizerConfigJson(*sample));
  ASSERT_TRUE(file.ok() && config.ok()) << file.status() << config.status();
  tokenizer_digest_ = file->digest();
  registry::v1::CreateTokenizerRequest tokenizer;
  tokenizer.set_parent("teams/nlp");
  tokenizer.set_tokenizer_id("sample");
  tokenizer.mutable_tokenizer()->set_digest(tokenizer_digest_);
  tokenizer.mutable_tokenizer()->set_config_digest(config->digest());
  tokenizer.mutable_tokenizer()->set_vocab_size(sample->vocab_size());
  ASSERT_TRUE(registry.CreateTokenizer(As("nlp"), tokenizer).ok());
}

}  // namespace floe::trainer
