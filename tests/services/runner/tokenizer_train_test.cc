// Training a tokenizer from end to end: floe-registry, floe-tokenizer and floe-runner as processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "base/sha256.h"
#include "floe/tokenizer/v1/tokenizer.grpc.pb.h"
#include "services/registry/client/registry_client.h"
#include "services/runner/tokenizer_train_executor.h"
#include "services/runtime/client.h"
#include "tests/services/jobs/job_service.h"
#include "tests/support/child_process.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_dir.h"
#include "tokenizer/tokenizer.h"

namespace floe::runner {
namespace {

using jobs::v1::Job;
using testing::Contains;
using testing::HasSubstr;

constexpr char kKind[] = "tokenizer.train";

// English enough for a few hundred merges.
std::string Corpus() {
  std::string text;
  const char* words[] = {"the", "river", "runs", "slowly", "under", "an", "old", "stone", "bridge"};
  unsigned seed = 7;
  for (int document = 0; document < 400; ++document) {
    for (int i = 0; i < 30; ++i) {
      seed = seed * 1103515245 + 12345;
      absl::StrAppend(&text, words[(seed >> 16) % 9], (seed >> 20) % 7 == 0 ? ", caf\u00e9 " : " ",
                      (seed >> 8) % 100, " ");
    }
    absl::StrAppend(&text, "\n\n");
  }
  return text;
}

runtime::OutgoingCall As(const std::string& team) {
  auto call = runtime::OutgoingCall::Own("test", absl::Minutes(2));
  call.identity.team = team;
  call.identity.role = "developer";
  return call;
}

// The three processes, one set for all tests of this file.
class Fleet {
 public:
  Fleet() : dsn_(test::Postgres::Shared().CreateDatabase()) {
    registry_address_ = StartService("floe-registry", {"--blob-dir", dir_ / "blobs"});
    tokenizer_address_ = StartService("floe-tokenizer", {"--registry", registry_address_});
    Start("floe-runner", {"--registry", registry_address_, "--queues",
                          absl::StrCat("tokenizer=", tokenizer_address_), "--work-dir",
                          dir_ / "work", "--threads", "1"});
  }

  std::shared_ptr<grpc::Channel> registry() const { return Channel(registry_address_); }
  std::shared_ptr<grpc::Channel> tokenizer() const { return Channel(tokenizer_address_); }
  std::filesystem::path folder(std::string_view name) const { return dir_ / name; }

 private:
  static std::shared_ptr<grpc::Channel> Channel(const std::string& address) {
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  }
  test::ChildProcess& Start(const std::string& program, std::vector<std::string> arguments) {
    std::vector<std::string> argv = {absl::StrCat(FLOE_BIN, "/", program), "--insecure",
                                     "--ports-file", dir_ / (program + ".ports")};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    auto child =
        test::ChildProcess::Start({.argv = argv,
                                   .environment = {absl::StrCat("FLOE_DATABASE_URL=", dsn_)},
                                   .output = dir_ / (program + ".log")});
    EXPECT_TRUE(child.ok()) << child.status();
    children_.push_back(*std::move(child));
    return children_.back();
  }
  std::string StartService(const std::string& program, std::vector<std::string> arguments) {
    test::ChildProcess& child = Start(program, std::move(arguments));
    for (int look = 0; look < 3000; ++look) {
      const auto ports = ReadFile(dir_ / (program + ".ports"));
      if (ports.ok())
        return absl::StrCat("127.0.0.1:", nlohmann::json::parse(*ports)["grpc"].get<int>());
      if (child.Wait(absl::Milliseconds(10))) break;  // woken up by an early end
    }
    ADD_FAILURE() << program
                  << " does not serve: " << ReadFile(dir_ / (program + ".log")).value_or("no log");
    return "127.0.0.1:1";
  }

  test::TempDir dir_;
  const std::string dsn_;
  std::string registry_address_;
  std::string tokenizer_address_;
  std::vector<test::ChildProcess> children_;  // end before the folder goes
};

class TokenizerTrainTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { fleet_ = new Fleet(); }
  static void TearDownTestSuite() {
    delete fleet_;
    fleet_ = nullptr;
  }

  // Registers `bytes` as a dataset of teams/nlp; its digest.
  std::string PutDataset(const std::string& id, const std::string& bytes) {
    const auto blob = registry_.UploadBytes(As("nlp"), bytes);
    EXPECT_TRUE(blob.ok()) << blob.status();
    registry::v1::CreateDatasetRequest request;
    request.set_parent("teams/nlp");
    request.set_dataset_id(id);
    request.mutable_dataset()->set_digest(blob->digest());
    request.mutable_dataset()->set_format("text");
    request.mutable_dataset()->set_documents(400);
    const auto dataset = registry_.CreateDataset(As("nlp"), request);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return blob->digest();
  }
  Job RunToItsEnd(const std::string& spec) {
    const auto job = person_.Create(spec, "", kKind);
    EXPECT_TRUE(job.ok()) << job.status();
    if (!job.ok()) return {};
    const auto watched = person_.Watch(job->name(), 0);
    EXPECT_TRUE(watched.status.ok()) << watched.status;
    words_ = jobs::Words(watched.events);
    return person_.Get(job->name()).value_or(Job{});
  }

  static Fleet* fleet_;  // of the test suite
  registry::RegistryClient registry_{fleet_->registry()};
  jobs::JobCaller person_{fleet_->tokenizer(), "nlp"};
  std::vector<std::string> words_;  // what the last job said
};

Fleet* TokenizerTrainTest::fleet_ = nullptr;

TEST_F(TokenizerTrainTest, FromADatasetToATokenizerThatEncodes) {
  const std::string corpus = Corpus();
  const std::string dataset = PutDataset("rivers", corpus);
  const Job job = RunToItsEnd("name: rivers-300\ndataset: rivers\nvocab_size: 300\n");
  ASSERT_EQ(job.state(), Job::SUCCEEDED) << job.error();
  EXPECT_EQ(job.kind(), kKind);
  EXPECT_THAT(job.name(), testing::StartsWith("teams/nlp/jobs/tokenizer-"));
  EXPECT_THAT(job.spec(), HasSubstr(absl::StrCat("teams/nlp/datasets/rivers@sha256:", dataset)));
  EXPECT_EQ(job.progress().step(), job.progress().steps());
  EXPECT_THAT(words_, Contains(HasSubstr("bytes a token")));
  EXPECT_THAT(words_, Contains(HasSubstr("round trip: all 400 documents")));

  const auto made = registry_.GetTokenizer(As("nlp"), job.result());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->name(), "teams/nlp/tokenizers/rivers-300");
  EXPECT_EQ(made->vocab_size(), 300);
  EXPECT_EQ(made->dataset_digest(), dataset);
  EXPECT_EQ(made->job(), job.name());
  EXPECT_GT(made->bytes_per_token(), 1.2);
  const auto json = registry_.DownloadBytes(As("nlp"), made->digest(), 1 << 20);
  ASSERT_TRUE(json.ok()) << json.status();
  const auto tokenizer = tokenizer::Tokenizer::Load(*json);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_TRUE((*tokenizer)->SpecialId("<|im_end|>").has_value());
  const auto config = registry_.DownloadBytes(As("nlp"), made->config_digest(), 1 << 20);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(*config, HasSubstr("chat_template"));

  grpc::ClientContext context;
  runtime::PrepareCall(context, As("nlp"));
  tokenizer::v1::EncodeRequest request;
  request.set_tokenizer("teams/nlp/tokenizers/rivers-300");
  request.set_text("the river runs");
  tokenizer::v1::EncodeResponse encoded;
  const auto stub = tokenizer::v1::TokenizerService::NewStub(fleet_->tokenizer());
  const grpc::Status status = stub->Encode(&context, request, &encoded);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(encoded.ids_size(), static_cast<int>((*tokenizer)->Count("the river runs")));
}

TEST_F(TokenizerTrainTest, TheSameWorkAgainGivesTheSameTokenizer) {
  PutDataset("again", Corpus());
  const Job first = RunToItsEnd("{name: again, dataset: again, vocab_size: 290}");
  const Job second = RunToItsEnd("{name: again, dataset: again, vocab_size: 290}");
  EXPECT_EQ(first.state(), Job::SUCCEEDED) << first.error();
  EXPECT_EQ(first.result(), second.result());
}

TEST_F(TokenizerTrainTest, MistakesAreNamedBeforeAnythingIsQueued) {
  PutDataset("rivers", Corpus());
  const auto message = [&](const std::string& spec) {
    const auto job = person_.Create(spec, "", kKind);
    EXPECT_FALSE(job.ok()) << spec;
    return std::string(job.status().message());
  };
  EXPECT_THAT(message("name: a\ndataset: rivers\nvocab_sise: 300\n"),
              testing::AllOf(HasSubstr("line 3"), HasSubstr("vocab_sise")));
  EXPECT_THAT(message("name: a\ndataset: lakes\n"), HasSubstr("teams/nlp/datasets/lakes"));
  EXPECT_THAT(message("name: a\ndataset: teams/vision/datasets/rivers\n"),
              HasSubstr("teams/vision/datasets/rivers"));
  const auto kind = person_.Create("{}", "", "pretrain");
  EXPECT_EQ(kind.status().code(), absl::StatusCode::kInvalidArgument);
  jobs::JobCaller stranger(fleet_->tokenizer(), "vision");
  const auto foreign = stranger.Create("name: a\ndataset: rivers\n", "", kKind, "teams/vision");
  EXPECT_EQ(foreign.status().code(), absl::StatusCode::kNotFound) << foreign.status();
}

TEST_F(TokenizerTrainTest, ATextThatIsTooSmallFailsOnce) {
  PutDataset("tiny", "one two\n");
  const Job job = RunToItsEnd("{name: tiny, dataset: tiny, vocab_size: 4096}");
  EXPECT_EQ(job.state(), Job::FAILED);
  EXPECT_EQ(job.attempt(), 1);
  EXPECT_THAT(job.error(), HasSubstr("4096"));
}

TEST_F(TokenizerTrainTest, ADatasetThatChangedOnDiskIsRefused) {
  const std::string digest = PutDataset("rotten", Corpus() + "rotten");
  std::filesystem::path blob;
  for (const auto& file : std::filesystem::recursive_directory_iterator(fleet_->folder("blobs"))) {
    if (file.path().filename() == digest) blob = file.path();
  }
  ASSERT_FALSE(blob.empty());
  std::filesystem::permissions(blob, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  std::fstream(blob, std::ios::in | std::ios::out) << "X";
  const Job job = RunToItsEnd("{name: rotten, dataset: rotten, vocab_size: 300}");
  EXPECT_EQ(job.state(), Job::FAILED);
  EXPECT_THAT(job.error(), HasSubstr("DATA_LOSS"));
  EXPECT_EQ(registry_.GetTokenizer(As("nlp"), "teams/nlp/tokenizers/rotten").status().code(),
            absl::StatusCode::kNotFound);
}

// Asks the executor to stop at its first sign of progress.
class StopAtProgress final : public Reporter {
 public:
  void Progress(jobs::Progress) override { stop.request_stop(); }
  void Log(std::string_view, std::string_view) override {}
  void Used(int64_t, double) override {}
  std::stop_source stop;
};

TEST_F(TokenizerTrainTest, ACancelledTrainingStopsInTheMiddle) {
  PutDataset("stopped", Corpus());
  const test::TempDir folder;
  SystemClock clock;
  TokenizerTrainExecutor executor(registry_, clock, 1);
  StopAtProgress reporter;
  const auto result = executor.Execute(
      {.job = "teams/nlp/jobs/tokenizer-1",
       .job_id = "tokenizer-1",
       .team = "nlp",
       .kind = kKind,
       .spec = "{name: stopped, dataset: teams/nlp/datasets/stopped, vocab_size: 300}",
       .folder = folder.path()},
      reporter, reporter.stop.get_token());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(registry_.GetTokenizer(As("nlp"), "teams/nlp/tokenizers/stopped").status().code(),
            absl::StatusCode::kNotFound);
}

// Says nothing.
class Mute final : public Reporter {
 public:
  void Progress(jobs::Progress) override {}
  void Log(std::string_view, std::string_view) override {}
  void Used(int64_t, double) override {}
};

TEST_F(TokenizerTrainTest, AFullDiskIsToldAndTheNextAttemptStartsFromWhatIsWhole) {
  const std::string corpus = Corpus();
  PutDataset("full", corpus);
  const test::TempDir folder;
  const SystemClock clock;
  TokenizerTrainExecutor executor(registry_, clock, 1);
  const Assignment job = {.job = "teams/nlp/jobs/tokenizer-2",
                          .job_id = "tokenizer-2",
                          .team = "nlp",
                          .kind = kKind,
                          .spec = "{name: full, dataset: teams/nlp/datasets/full, vocab_size: 300}",
                          .folder = folder.path()};
  Mute reporter;
  absl::Status failed;
  {
    const test::FileSizeLimit full(corpus.size() / 2);
    failed = executor.Execute(job, reporter, {}).status();
  }
  EXPECT_EQ(failed.code(), absl::StatusCode::kResourceExhausted) << failed;
  EXPECT_THAT(failed.message(),
              HasSubstr(absl::StrCat("the copy of teams/nlp/datasets/full (", corpus.size(),
                                     " bytes) at ", (folder / "corpus").string())));
  EXPECT_THAT(failed.message(), HasSubstr("none of it was kept. Free that much space there"));
  EXPECT_THAT(failed.message(), HasSubstr("--work-dir on a larger disk; submit the job again if"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "nothing half-written stays";
  EXPECT_EQ(registry_.GetTokenizer(As("nlp"), "teams/nlp/tokenizers/full").status().code(),
            absl::StatusCode::kNotFound);
  const auto made = executor.Execute(job, reporter, {});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(registry_.GetTokenizer(As("nlp"), *made)->vocab_size(), 300);
}

}  // namespace
}  // namespace floe::runner
