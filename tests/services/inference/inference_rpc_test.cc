#include <algorithm>
#include <cmath>
#include <thread>

#include "base/error_reason.h"
#include "services/runtime/status.h"
#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;

TEST_F(WorkerTest, GeneratesTheSameTokensEachTime) {
  const std::string digest = Publish();
  Start();
  v1::GenerateRequest request = Ask(digest, "To be, or not", 20);
  request.mutable_sampling()->set_temperature(1);
  request.mutable_sampling()->set_seed(7);
  request.set_ignore_eos(true);
  const Answer first = Generate(request);
  ASSERT_TRUE(first.status.ok()) << first.status.error_message();
  EXPECT_EQ(first.ids.size(), 20u);
  EXPECT_EQ(first.finish.reason(), v1::Finish::LENGTH);
  EXPECT_EQ(first.finish.prompt_tokens(), 13);
  EXPECT_EQ(first.finish.completion_tokens(), 20);
  const Answer second = Generate(request);
  EXPECT_EQ(second.ids, first.ids);
  EXPECT_EQ(second.text, first.text);
  request.mutable_sampling()->set_seed(8);
  EXPECT_NE(Generate(request).ids, first.ids);
}

TEST_F(WorkerTest, APromptIsCachedForItsSaltAlone) {
  const std::string digest = Publish();
  Start();
  const auto ask = [&](const std::string& salt) {
    v1::GenerateRequest request = Ask(digest, std::string(40, 'x') + "?", 5);
    request.set_cache_salt(salt);
    request.set_ignore_eos(true);
    return Generate(request);
  };
  const Answer cold = ask("nlp");
  ASSERT_TRUE(cold.status.ok()) << cold.status.error_message();
  EXPECT_EQ(cold.finish.cached_tokens(), 0);
  EXPECT_EQ(cold.finish.computed_tokens(), 41 + 4);
  EXPECT_GT(cold.finish.kv_block_seconds(), 0);
  const Answer warm = ask("nlp");
  EXPECT_EQ(warm.ids, cold.ids);
  EXPECT_EQ(warm.first_cached_tokens, 32);
  EXPECT_EQ(warm.finish.cached_tokens(), 32);
  EXPECT_EQ(warm.finish.computed_tokens(), 41 + 4 - 32);
  EXPECT_EQ(ask("other").finish.cached_tokens(), 0);
  EXPECT_EQ(ask("").finish.cached_tokens(), 0);
  EXPECT_EQ(ask("").finish.cached_tokens(), 0);
  const Answer refused = ask(std::string(513, 's'));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("cache_salt has 513 bytes"));
}

TEST_F(WorkerTest, ManyAtOnceAnswerAsEachAlone) {
  const std::string digest = Publish();
  Start();
  const auto request = [&](int i) {
    v1::GenerateRequest r = Ask(digest, std::string(static_cast<size_t>(1 + i), 'a'), 15);
    r.mutable_sampling()->set_temperature(1);
    r.mutable_sampling()->set_seed(static_cast<uint64_t>(i));
    return r;
  };
  std::vector<Answer> alone(8), together(8);
  for (int i = 0; i < 8; ++i) alone[i] = Generate(request(i));
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] { together[i] = Generate(request(i)); });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(together[i].status.ok());
    EXPECT_EQ(together[i].ids, alone[i].ids);
  }
}

TEST_F(WorkerTest, CancellingFreesTheBlocks) {
  const std::string digest = Publish(0.5f, 100'000);
  Start();
  v1::GenerateRequest request = Ask(digest, "x", 5'000);
  request.set_ignore_eos(true);
  grpc::ClientContext context;
  const auto stream = stub().Generate(&context, request);
  v1::GenerateResponse response;
  // The second token comes after the first step's figures are published.
  ASSERT_TRUE(stream->Read(&response) && stream->Read(&response));
  const auto model = pool().Acquire(digest, [] { return false; });
  ASSERT_TRUE(model.ok());
  Scheduler& scheduler = *(*model)->scheduler;
  EXPECT_LT(scheduler.stats().kv.free_blocks, scheduler.stats().kv.total_blocks);
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(scheduler.WaitIdle(absl::Seconds(20)));
  EXPECT_EQ(scheduler.stats().kv.free_blocks, scheduler.stats().kv.total_blocks);
}

TEST_F(WorkerTest, ADeadlineEndsAStreamAndFreesItsBlocks) {
  const std::string digest = Publish(0.5f, 100'000);
  Start();
  const auto model = pool().Acquire(digest, [] { return false; });
  v1::GenerateRequest request = Ask(digest, "x", 5'000);
  request.set_ignore_eos(true);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  const auto stream = stub().Generate(&context, request);
  v1::GenerateResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE((*model)->scheduler->WaitIdle(absl::Seconds(20)));
}

TEST_F(WorkerTest, OverloadIsResourceExhausted) {
  const std::string digest = Publish(0.5f, 100'000);
  ModelPoolOptions options;
  options.serve.scheduler.queue.prompt_tokens = 10;
  Start(options);
  const Answer answer = Generate(Ask(digest, "more than ten tokens", 5));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("the queue is full"));
  const auto reason = ReasonOf(runtime::FromGrpcStatus(answer.status));
  EXPECT_EQ(reason->reason, "QUEUE_FULL");
  EXPECT_EQ(reason->metadata.at("retry_after_seconds"), "1");
}

// Measured against the targets that this worker was given.
TEST_F(WorkerTest, TheTierThatAnAnswerMetIsTheBestWhoseTargetsItKept) {
  const std::string digest = Publish();
  const TierTarget easy{absl::Hours(1), absl::Hours(1)};
  const TierTarget never{absl::ZeroDuration(), absl::ZeroDuration()};
  struct Case {
    TierTarget default_tier, priority;
    const char* asked;
    const char* met;
  };
  for (const Case& one :
       {Case{easy, easy, "priority", "priority"}, Case{easy, easy, "default", "default"},
        Case{easy, never, "priority", "default"}, Case{never, never, "priority", "flex"},
        Case{easy, easy, "flex", "flex"}}) {
    ModelPoolOptions options;
    options.serve.scheduler.targets.tiers = {TierTarget{}, one.default_tier, one.priority};
    Start(options);
    v1::GenerateRequest request = Ask(digest, "abc", 3);
    request.set_service_tier(one.asked);
    request.set_ignore_eos(true);
    EXPECT_EQ(Generate(request).finish.service_tier_met(), one.met) << one.asked;
  }
}

TEST_F(WorkerTest, BadRequestsAreInvalidArgument) {
  const std::string digest = Publish();
  Start();
  const auto message = [&](const v1::GenerateRequest& request) {
    const Answer answer = Generate(request);
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return answer.status.error_message();
  };
  EXPECT_THAT(message(Ask("nonsense", "a", 1)), HasSubstr("no checkpoint digest"));
  EXPECT_THAT(message(Ask(digest, "", 1)), HasSubstr("no ids"));
  EXPECT_THAT(message(Ask(digest, "a", 0)), HasSubstr("max_tokens is 0"));
  EXPECT_THAT(message(Ask(digest, "a", -5)), HasSubstr("max_tokens is -5"));
  EXPECT_THAT(message(Ask(digest, std::string(512, 'a'), 1)), HasSubstr("context is 512"));
  v1::GenerateRequest request = Ask(digest, "a", 1);
  request.add_prompt_ids(4'000'000'000);
  EXPECT_THAT(message(request), HasSubstr("4000000000"));
  request = Ask(digest, "a", 1);
  request.set_service_tier("gold");
  EXPECT_THAT(message(request), HasSubstr("service_tier is \"gold\""));
  request = Ask(digest, "a", 1);
  for (int i = 0; i < 17; ++i) *request.add_stop() = std::string(1, 'x');
  EXPECT_THAT(message(request), HasSubstr("17 texts"));
}

TEST_F(WorkerTest, ScoresMoreSequencesThanTheQueueHolds) {
  const std::string digest = Publish();
  ModelPoolOptions options;
  options.serve.scheduler.queue.requests = 3;
  Start(options);
  v1::ScoreRequest request;
  request.set_checkpoint_digest(digest);
  for (int i = 0; i < 40; ++i) {
    auto& sequence = *request.add_sequences();
    for (int k = 0; k < 5 + i; ++k) sequence.add_ids(static_cast<uint32_t>((i + k * 3) % 256));
    sequence.set_score_from(2);
  }
  grpc::ClientContext context;
  v1::ScoreResponse response;
  const grpc::Status status = stub().Score(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.scores_size(), 40);
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(response.scores(i).log_probabilities_size(), 3 + i);
    EXPECT_EQ(response.scores(i).greedy_size(), 3 + i);
    for (const float value : response.scores(i).log_probabilities()) EXPECT_LT(value, 0);
  }
  // One alone scores the same, to the last bit.
  v1::ScoreRequest one;
  one.set_checkpoint_digest(digest);
  *one.add_sequences() = request.sequences(20);
  grpc::ClientContext again;
  v1::ScoreResponse alone;
  ASSERT_TRUE(stub().Score(&again, one, &alone).ok());
  EXPECT_EQ(alone.scores(0).SerializeAsString(), response.scores(20).SerializeAsString());
}

TEST_F(WorkerTest, EmbedsManySequencesAsEachAlone) {
  const std::string digest = Publish();
  ModelPoolOptions options;
  options.serve.scheduler.queue.requests = 3;
  Start(options);
  v1::EmbedRequest request;
  request.set_checkpoint_digest(digest);
  for (int i = 0; i < 40; ++i) {
    auto& sequence = *request.add_sequences();
    for (int k = 0; k < 1 + i; ++k) sequence.add_ids(static_cast<uint32_t>((i + k * 3) % 256));
  }
  grpc::ClientContext context;
  v1::EmbedResponse response;
  const grpc::Status status = stub().Embed(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.embeddings_size(), 40);
  for (const auto& embedding : response.embeddings()) {
    ASSERT_EQ(embedding.values_size(), 32);
    double squares = 0;
    for (const float value : embedding.values()) squares += value * value;
    EXPECT_NEAR(squares, 1, 1e-5);
  }
  v1::EmbedRequest one;
  one.set_checkpoint_digest(digest);
  *one.add_sequences() = request.sequences(20);
  grpc::ClientContext again;
  v1::EmbedResponse alone;
  ASSERT_TRUE(stub().Embed(&again, one, &alone).ok());
  EXPECT_EQ(alone.embeddings(0).SerializeAsString(), response.embeddings(20).SerializeAsString());
}

TEST_F(WorkerTest, AShortenedVectorHasTheDirectionOfTheWholeOnesBeginning) {
  const std::string digest = Publish();
  Start();
  const auto embed = [&](int dimensions, v1::EmbedResponse& response) {
    v1::EmbedRequest request;
    request.set_checkpoint_digest(digest);
    auto& sequence = *request.add_sequences();
    for (const char c : std::string("hello")) sequence.add_ids(static_cast<uint32_t>(c));
    request.set_dimensions(dimensions);
    grpc::ClientContext context;
    return stub().Embed(&context, request, &response);
  };
  v1::EmbedResponse whole, part, refused;
  ASSERT_TRUE(embed(0, whole).ok());
  const auto& all = whole.embeddings(0).values();
  double squares = 0;
  for (int i = 0; i < 5; ++i) squares += all[i] * all[i];
  ASSERT_TRUE(embed(5, part).ok());
  ASSERT_EQ(part.embeddings(0).values_size(), 5);
  for (int i = 0; i < 5; ++i) {
    EXPECT_NEAR(part.embeddings(0).values(i), all[i] / std::sqrt(squares), 1e-6) << i;
  }
  ASSERT_TRUE(embed(all.size(), part).ok());
  EXPECT_EQ(part.SerializeAsString(), whole.SerializeAsString());
  const grpc::Status status = embed(all.size() + 1, refused);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("dimensions"));
}

TEST_F(WorkerTest, WhatCannotBeEmbeddedIsNamed) {
  const std::string digest = Publish();
  Start();
  const auto message = [&](int ids, uint32_t id, const std::string& tier) {
    v1::EmbedRequest request;
    request.set_checkpoint_digest(digest);
    request.set_service_tier(tier);
    auto& sequence = *request.add_sequences();
    for (int i = 0; i < ids; ++i) sequence.add_ids(id);
    grpc::ClientContext context;
    v1::EmbedResponse response;
    const grpc::Status status = stub().Embed(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_THAT(message(0, 1, ""), HasSubstr("no ids"));
  EXPECT_THAT(message(513, 1, ""), HasSubstr("context is 512"));
  EXPECT_THAT(message(3, 9999, ""), HasSubstr("id 9999"));
  EXPECT_THAT(message(3, 1, "gold"), HasSubstr("service_tier is \"gold\""));
}

TEST_F(WorkerTest, TellsWhatItHasLoaded) {
  const std::string digest = Publish();
  Start();
  ASSERT_TRUE(Generate(Ask(digest, "abc", 3)).status.ok());
  grpc::ClientContext context;
  v1::WorkerStatus status;
  ASSERT_TRUE(stub().GetWorkerStatus(&context, {}, &status).ok());
  ASSERT_EQ(status.checkpoints_size(), 1);
  EXPECT_EQ(status.checkpoints(0).digest(), digest);
  EXPECT_EQ(status.checkpoints(0).context(), 512);
  EXPECT_GT(status.checkpoints(0).parameters(), 0);
  EXPECT_EQ(status.checkpoints(0).kv_blocks(), status.checkpoints(0).kv_blocks_free());
}

TEST_F(WorkerTest, CheckpointsComeAndGoByCallButNotWhileTheyAreUsed) {
  const std::string digest = Publish();
  Start();
  v1::LoadCheckpointRequest load;
  load.set_digest(digest);
  v1::UnloadCheckpointRequest unload;
  unload.set_digest(digest);
  const auto unloaded = [&] {
    grpc::ClientContext context;
    v1::UnloadCheckpointResponse nothing;
    return stub().UnloadCheckpoint(&context, unload, &nothing).error_code();
  };
  EXPECT_EQ(unloaded(), grpc::StatusCode::NOT_FOUND);
  {
    grpc::ClientContext context;
    v1::WorkerStatus::LoadedCheckpoint loaded;
    ASSERT_TRUE(stub().LoadCheckpoint(&context, load, &loaded).ok());
    EXPECT_EQ(loaded.digest(), digest);
    EXPECT_EQ(loaded.kv_blocks(), loaded.kv_blocks_free());
  }
  ASSERT_EQ(pool().Loaded().size(), 1u);
  {
    const auto held = pool().Acquire(digest, [] { return false; });
    EXPECT_EQ(unloaded(), grpc::StatusCode::FAILED_PRECONDITION);
  }
  EXPECT_EQ(unloaded(), grpc::StatusCode::OK);
  EXPECT_TRUE(pool().Loaded().empty());
  EXPECT_TRUE(Generate(Ask(digest, "a", 1)).status.ok()) << "it is loaded again when asked for";
  load.set_digest(std::string(64, '0'));
  grpc::ClientContext context;
  v1::WorkerStatus::LoadedCheckpoint loaded;
  EXPECT_EQ(stub().LoadCheckpoint(&context, load, &loaded).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(WorkerTest, DrainingFinishesWhatRunsAndRefusesTheRest) {
  const std::string digest = Publish();
  Start();
  v1::GenerateRequest request = Ask(digest, "x", 200);
  request.set_ignore_eos(true);
  grpc::ClientContext context;
  const auto stream = stub().Generate(&context, request);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream->Read(&response));
  pool().StopAccepting();
  EXPECT_EQ(Generate(request).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  while (stream->Read(&response)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(response.finish().completion_tokens(), 200);
}

}  // namespace
}  // namespace floe::inference
