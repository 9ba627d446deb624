// What cannot be there in time is refused before anything of it runs.
#include "absl/strings/numbers.h"

#include "base/error_reason.h"
#include "services/runtime/status.h"
#include "tests/services/inference/crowd.h"
#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

constexpr int kLong = 8000;    // ids of a sequence
constexpr int kTooMany = 200;  // of them: minutes of work, in less than the 4 MiB of a message
constexpr int kCrowd = 64;     // answers to such prompts that wait: half a minute and more
constexpr auto kSoon = std::chrono::seconds(5);

class EarlyRefusalTest : public WorkerTest {
 protected:
  void SetUp() override {
    digest_ = Publish(0.5f, /*context=*/kLong);
    Start({.serve = {.engine = {.num_threads = 1},
                     .scheduler = {.queue = {.prompt_tokens = 2 * kCrowd * kLong}}}});
    // What a step costs is learned.
    ASSERT_TRUE(Score(1).ok());
    ASSERT_TRUE(Score(1).ok());
  }

  static void Fill(google::protobuf::RepeatedField<uint32_t>& ids) {
    for (int i = 0; i < kLong; ++i) ids.Add(static_cast<uint32_t>(i % 250));
  }
  absl::Status Score(int sequences) {
    v1::ScoreRequest request;
    request.set_checkpoint_digest(digest_);
    for (int i = 0; i < sequences; ++i) {
      auto& sequence = *request.add_sequences();
      sequence.set_score_from(kLong - 1);
      Fill(*sequence.mutable_ids());
    }
    grpc::ClientContext context;
    if (sequences > 1) context.set_deadline(std::chrono::system_clock::now() + kSoon);
    v1::ScoreResponse response;
    return runtime::FromGrpcStatus(stub().Score(&context, request, &response));
  }
  absl::Status Embed(int sequences) {
    v1::EmbedRequest request;
    request.set_checkpoint_digest(digest_);
    for (int i = 0; i < sequences; ++i) Fill(*request.add_sequences()->mutable_ids());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kSoon);
    v1::EmbedResponse response;
    return runtime::FromGrpcStatus(stub().Embed(&context, request, &response));
  }
  void ExpectTooLate(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    const auto reason = ReasonOf(status);
    ASSERT_TRUE(reason.has_value());
    EXPECT_EQ(reason->reason, "DEADLINE_TOO_SOON");
    int seconds = 0;
    EXPECT_TRUE(absl::SimpleAtoi(reason->metadata.at("retry_after_seconds"), &seconds));
    EXPECT_GE(seconds, 1);
  }
  // A step is counted behind the answers that it brings.
  SchedulerStats stats() {
    const auto model = pool().Loaded().at(0);
    EXPECT_TRUE(model->scheduler->WaitIdle(absl::Minutes(1)));
    return model->scheduler->stats();
  }

  std::string digest_;
};

TEST_F(EarlyRefusalTest, ACallOfManySequencesThatComeTooLateTogetherIsRefusedBeforeTheFirst) {
  const SchedulerStats before = stats();
  ExpectTooLate(Score(kTooMany));
  ExpectTooLate(Embed(kTooMany));
  const SchedulerStats after = stats();
  EXPECT_EQ(after.step_tokens, before.step_tokens);
  EXPECT_EQ(after.rejected, before.rejected + 2);
  EXPECT_EQ(after.kv.free_blocks, after.kv.total_blocks);
}

TEST_F(EarlyRefusalTest, AnAnswerThatWouldBeginTooLateBehindOthersIsRefusedAtOnce) {
  Crowd crowd(stub(), LongPrompt(digest_, kLong - 1), kCrowd);
  ASSERT_TRUE(crowd.Await(kCrowd * 3 / 4));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kSoon);
  const auto stream = stub().Generate(&context, Ask(digest_, "me too", 1));
  v1::GenerateResponse response;
  EXPECT_FALSE(stream->Read(&response));
  ExpectTooLate(runtime::FromGrpcStatus(stream->Finish()));
}

TEST_F(EarlyRefusalTest, WhatHasTheTimeIsComputed) {
  EXPECT_TRUE(Score(1).ok());
  EXPECT_EQ(stats().rejected, 0);
}

}  // namespace
}  // namespace floe::inference
