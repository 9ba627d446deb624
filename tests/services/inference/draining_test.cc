// A worker that is told to end: what runs finishes while there is time for it, and is handed over
// when there is not.
#include "base/error_reason.h"
#include "services/runtime/status.h"
#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

class DrainingTest : public WorkerTest {
 protected:
  // Never ends by itself before its context is full.
  v1::GenerateRequest Long() {
    v1::GenerateRequest request = Ask(digest_, "Once", 8000);
    request.mutable_sampling()->set_temperature(1);
    request.set_ignore_eos(true);
    return request;
  }
  static std::string ReasonOf(const grpc::Status& status) {
    const auto reason = floe::ReasonOf(runtime::FromGrpcStatus(status));
    return reason ? reason->reason : "";
  }
  void SetUp() override {
    digest_ = Publish(0.5f, /*context=*/8192);
    Start({.serve = {.engine = {.num_threads = 1}}});
  }
  std::string digest_;
};

TEST_F(DrainingTest, WhatRunsFinishesWhileThereIsTimeAndNothingNewIsTaken) {
  grpc::ClientContext context;
  v1::GenerateRequest request = Long();
  request.set_max_tokens(2000);
  const auto stream = stub().Generate(&context, request);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream->Read(&response));
  rpc().EndBy(clock_.Now() + absl::Hours(1));

  const Answer refused = Generate(Ask(digest_, "new", 1));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(refused.status), "DRAINING");
  int ids = response.ids_size();
  while (stream->Read(&response)) ids += response.ids_size();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(ids, 2000);
}

TEST_F(DrainingTest, WhatCannotFinishIsHandedOverWithAllThatWasSentAndItsRoomIsFree) {
  grpc::ClientContext context;
  const auto stream = stub().Generate(&context, Long());
  v1::GenerateResponse response;
  ASSERT_TRUE(stream->Read(&response));
  rpc().EndBy(clock_.Now());
  std::vector<uint32_t> ids(response.ids().begin(), response.ids().end());
  while (stream->Read(&response)) {
    EXPECT_FALSE(response.has_finish());
    ids.insert(ids.end(), response.ids().begin(), response.ids().end());
  }
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "HANDED_OVER");
  EXPECT_LT(ids.size(), 8000u);
  const auto stats = pool().Loaded().at(0)->scheduler->stats();
  EXPECT_EQ(stats.kv.free_blocks, stats.kv.total_blocks);
}

TEST_F(DrainingTest, NoNewScoresAndEmbeddingsEither) {
  ASSERT_TRUE(Generate(Ask(digest_, "loaded", 1)).status.ok());
  rpc().EndBy(clock_.Now() + absl::Hours(1));
  v1::ScoreRequest score;
  score.set_checkpoint_digest(digest_);
  v1::EmbedRequest embed;
  embed.set_checkpoint_digest(digest_);
  score.add_sequences()->set_score_from(1);
  for (const uint32_t id : {7, 8, 9}) score.mutable_sequences(0)->add_ids(id);
  embed.add_sequences()->add_ids(7);
  grpc::ClientContext first, second;
  v1::ScoreResponse scores;
  v1::EmbedResponse embeddings;
  EXPECT_EQ(ReasonOf(stub().Score(&first, score, &scores)), "DRAINING");
  EXPECT_EQ(ReasonOf(stub().Embed(&second, embed, &embeddings)), "DRAINING");
}

}  // namespace
}  // namespace floe::inference
