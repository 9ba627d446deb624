// Bad input at the worker: the right code, and a message that names what is wrong and where.
#include <fstream>
#include <limits>

#include "base/files.h"
#include "base/sha256.h"
#include "model/checkpoint.h"
#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(WorkerTest, SamplingOutOfRangeIsNamed) {
  const std::string digest = Publish();
  Start();
  const auto message = [&](auto set) {
    v1::GenerateRequest request = Ask(digest, "a", 1);
    set(*request.mutable_sampling());
    const Answer answer = Generate(request);
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return answer.status.error_message();
  };
  using Sampling = v1::Sampling;
  EXPECT_THAT(message([](Sampling& s) { s.set_temperature(-0.5f); }), HasSubstr("temperature"));
  EXPECT_THAT(
      message([](Sampling& s) { s.set_temperature(std::numeric_limits<float>::quiet_NaN()); }),
      HasSubstr("temperature"));
  EXPECT_THAT(message([](Sampling& s) { s.set_top_k(-1); }), HasSubstr("top_k is -1"));
  EXPECT_THAT(message([](Sampling& s) { s.set_top_p(1.5f); }), HasSubstr("top_p is 1.5"));
  EXPECT_THAT(message([](Sampling& s) { s.set_min_p(2); }), HasSubstr("min_p is 2"));
}

TEST_F(WorkerTest, APromptMayFillTheContextUpToOneAnswer) {
  const std::string digest = Publish(0.5f, 64);
  Start();
  v1::GenerateRequest request = Ask(digest, std::string(63, 'a'), 10);
  request.set_ignore_eos(true);
  const Answer last = Generate(request);
  ASSERT_TRUE(last.status.ok()) << last.status.error_message();
  EXPECT_EQ(last.finish.completion_tokens(), 1) << "the context's last place";
  EXPECT_EQ(last.finish.reason(), v1::Finish::LENGTH);
  const Answer longer = Generate(Ask(digest, std::string(64, 'a'), 1));
  EXPECT_EQ(longer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(longer.status.error_message(),
              AllOf(HasSubstr("the prompt has 64 tokens"), HasSubstr("context is 64")));
  const Answer far = Generate(Ask(digest, std::string(100'000, 'a'), 1));
  EXPECT_EQ(far.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(far.status.error_message(), HasSubstr("the prompt has 100000 tokens"));
  ExpectAtRest(digest);
}

TEST_F(WorkerTest, ACheckpointThatNobodyHasIsNotFoundByItsDigest) {
  Publish();
  Start();
  const std::string digest = Sha256::Hex("never published");
  const Answer answer = Generate(Ask(digest, "a", 1));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(answer.status.error_message(), HasSubstr(digest));
  EXPECT_TRUE(pool().Loaded().empty());
}

TEST_F(WorkerTest, WeightsWhoseBytesChangedAreNeverServed) {
  const std::string digest = Publish();
  Start();
  const auto manifest = model::Manifest::Parse(*ReadFile(BlobPath(digest)));
  ASSERT_TRUE(manifest.ok());
  const std::filesystem::path weights = BlobPath(manifest->files.at("model.safetensors").digest);
  std::string bytes = *ReadFile(weights);
  bytes.back() ^= 1;
  std::ofstream(weights, std::ios::binary) << bytes;
  const Answer answer = Generate(Ask(digest, "a", 1));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_THAT(answer.status.error_message(),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("its bytes changed")));
  EXPECT_TRUE(answer.ids.empty());
}

TEST_F(WorkerTest, AWeightThatIsNoNumberIsNamedAndItsModelNeverServed) {
  const std::string good = Publish();
  Start();
  for (const char* tensor : {"model.layers.1.mlp.down_proj.weight",
                             "model.layers.1.input_layernorm.weight", "model.norm.weight"}) {
    const std::string digest =
        PublishCheckpoint(dir_ / "damaged", dir_ / "blobs",
                          {.odd = {tensor, std::numeric_limits<float>::quiet_NaN()}});
    std::filesystem::remove_all(dir_ / "damaged");
    const Answer answer = Generate(Ask(digest, "a", 1));
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::DATA_LOSS);
    EXPECT_THAT(answer.status.error_message(), AllOf(HasSubstr(tensor), HasSubstr("NaN")));
    grpc::ClientContext context;
    v1::LoadCheckpointRequest load;
    load.set_digest(digest);
    v1::WorkerStatus::LoadedCheckpoint loaded;
    const grpc::Status status = stub().LoadCheckpoint(&context, load, &loaded);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS);
    EXPECT_THAT(status.error_message(), HasSubstr(tensor));
    EXPECT_TRUE(pool().Loaded().empty());
  }
  EXPECT_TRUE(Generate(Ask(good, "a", 1)).status.ok()) << "the worker goes on";
  ExpectAtRest(good);
}

TEST_F(WorkerTest, ACheckpointWithATokenizerOfAnotherKindIsRefusedAndNotTheRequest) {
  const std::string digest = Publish(0.5f, 512, R"({"model": {"type": "Unigram"}})");
  Start();
  const Answer answer = Generate(Ask(digest, "a", 1));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(answer.status.error_message(), AllOf(HasSubstr(digest), HasSubstr("Unigram")));
}

TEST_F(WorkerTest, ABlobThatIsNoManifestIsNoCheckpoint) {
  Publish();
  const std::string text = "a text, not a manifest";
  const std::string digest = Sha256::Hex(text);
  std::filesystem::create_directories(BlobPath(digest).parent_path());
  std::ofstream(BlobPath(digest), std::ios::binary) << text;
  Start();
  const Answer answer = Generate(Ask(digest, "a", 1));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(pool().Loaded().empty());
}

TEST_F(WorkerTest, BadSequencesToScoreAreNamed) {
  const std::string digest = Publish();
  Start();
  const auto message = [&](int ids, int from) {
    v1::ScoreRequest request;
    request.set_checkpoint_digest(digest);
    auto& sequence = *request.add_sequences();
    for (int i = 0; i < ids; ++i) sequence.add_ids(1);
    sequence.set_score_from(from);
    grpc::ClientContext context;
    v1::ScoreResponse response;
    const grpc::Status status = stub().Score(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_THAT(message(5, 0), HasSubstr("score_from is 0"));
  EXPECT_THAT(message(5, 5), HasSubstr("score_from is 5"));
  EXPECT_THAT(message(0, 1), HasSubstr("no ids"));
  EXPECT_THAT(message(513, 1), HasSubstr("context is 512"));
}

}  // namespace
}  // namespace floe::inference
