// Who goes away frees what it held, and who is slow holds nobody up.
#include <chrono>
#include <functional>
#include <list>

#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;

class CancellationTest : public WorkerTest {
 protected:
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader;
    int64_t ids = 0;  // read so far
  };

  // A stream that has given its first tokens and could go on for long.
  std::unique_ptr<Stream> Begin(const std::string& digest, const std::string& prompt,
                                int max_tokens = 5'000) {
    auto stream = std::make_unique<Stream>();
    v1::GenerateRequest request = Ask(digest, prompt, max_tokens);
    request.set_ignore_eos(true);
    stream->reader = stub().Generate(&stream->context, request);
    v1::GenerateResponse response;
    EXPECT_TRUE(stream->reader->Read(&response));
    stream->ids = response.ids_size();
    return stream;
  }

  v1::WorkerStatus Status() {
    grpc::ClientContext context;
    v1::WorkerStatus status;
    EXPECT_TRUE(stub().GetWorkerStatus(&context, {}, &status).ok());
    return status;
  }

  // Asks the worker until it is so, for at most 20 s.
  ::testing::AssertionResult Becomes(const std::function<bool(const v1::WorkerStatus&)>& so) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    v1::WorkerStatus status;
    do {
      status = Status();
      if (so(status)) return ::testing::AssertionSuccess();
    } while (std::chrono::steady_clock::now() < deadline);
    return ::testing::AssertionFailure() << status.ShortDebugString();
  }

  static int64_t Held(const v1::WorkerStatus& status) {
    const auto& checkpoint = status.checkpoints(0);
    return checkpoint.kv_blocks() - checkpoint.kv_blocks_free();
  }
};

TEST_F(CancellationTest, EachCancelledStreamGivesItsKvSlotsBackAndNoOther) {
  const std::string digest = Publish(0.5f, 100'000);
  Start();
  const auto model = pool().Acquire(digest, [] { return false; });
  ASSERT_TRUE(model.ok());
  const int64_t block = (*model)->scheduler->stats().kv.block_tokens;
  const auto blocks = [&](int64_t tokens) { return (tokens + block - 1) / block; };

  constexpr int kPrompt = 600;
  constexpr int kStreams = 3;
  constexpr int kTokens = 1'500;
  std::list<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(Begin(digest, std::string(kPrompt, static_cast<char>('a' + i)), kTokens));
  }
  for (int left = kStreams - 1; left >= 0; --left) {
    streams.front()->context.TryCancel();
    EXPECT_EQ(streams.front()->reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
    streams.pop_front();
    // What is held is at most what those that are left can need: the slots of the one that went
    // away are free.
    EXPECT_TRUE(Becomes([&](const v1::WorkerStatus& status) {
      return status.requests_running() <= left && Held(status) <= left * blocks(kPrompt + kTokens);
    }));
    const v1::WorkerStatus status = Status();
    if (status.requests_running() == left) {
      EXPECT_GE(Held(status), left * blocks(kPrompt)) << "the others lost theirs";
    }
  }
  EXPECT_EQ(Held(Status()), 0);
  EXPECT_EQ((*model)->scheduler->stats().kv.free_blocks,
            (*model)->scheduler->stats().kv.total_blocks);
}

TEST_F(CancellationTest, HundredCancelledStreamsLeakNotOneSlot) {
  const std::string digest = Publish(0.5f, 100'000);
  Start();
  for (int i = 0; i < 100; ++i) {
    const auto stream = Begin(digest, std::string(1 + i * 7 % 200, 'x'));
    stream->context.TryCancel();
    stream->reader->Finish();
  }
  EXPECT_TRUE(Becomes([](const v1::WorkerStatus& status) {
    return status.requests_running() == 0 && status.requests_waiting() == 0 && Held(status) == 0;
  }));
}

TEST_F(CancellationTest, CancellingBeforeTheFirstTokenFreesTheQueue) {
  const std::string digest = Publish(0.5f, 100'000);
  ModelPoolOptions options;
  options.serve.scheduler.plan.max_running = 1;
  Start(options);
  const auto running = Begin(digest, "x");
  Stream waiting;
  waiting.reader = stub().Generate(&waiting.context, Ask(digest, "y", 5));
  ASSERT_TRUE(Becomes([](const v1::WorkerStatus& s) { return s.requests_waiting() == 1; }));
  waiting.context.TryCancel();
  EXPECT_EQ(waiting.reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Becomes([](const v1::WorkerStatus& s) { return s.requests_waiting() == 0; }));
  running->context.TryCancel();
  running->reader->Finish();
}

TEST_F(CancellationTest, ASlowReaderHoldsNoSlotsAndLosesNothing) {
  const std::string digest = Publish(0.5f, 100'000);
  Start();
  const auto stream = Begin(digest, "x", 3'000);
  // Nothing is read, yet the request runs to its end and gives its slots back.
  EXPECT_TRUE(Becomes([](const v1::WorkerStatus& status) {
    return status.requests_running() == 0 && Held(status) == 0;
  }));
  v1::GenerateResponse response;
  v1::Finish finish;
  while (stream->reader->Read(&response)) {
    stream->ids += response.ids_size();
    if (response.has_finish()) finish = response.finish();
  }
  EXPECT_TRUE(stream->reader->Finish().ok());
  EXPECT_EQ(finish.completion_tokens(), 3'000);
  EXPECT_EQ(stream->ids, 3'000);
}

TEST_F(CancellationTest, AFullQueueRefusesAtOnceAndServesAgainWhenItHasEmptied) {
  const std::string digest = Publish(0.5f, 100'000);
  ModelPoolOptions options;
  options.serve.scheduler.plan.max_running = 1;
  options.serve.scheduler.queue.requests = 1;
  Start(options);
  const auto running = Begin(digest, "x");
  Stream waiting;
  waiting.reader = stub().Generate(&waiting.context, Ask(digest, "y", 5));
  ASSERT_TRUE(Becomes([](const v1::WorkerStatus& s) { return s.requests_waiting() == 1; }));

  const Answer refused = Generate(Ask(digest, "z", 5));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("the queue is full: 1 of 1 requests"));
  EXPECT_THAT(refused.status.error_message(), HasSubstr("try again later"));

  running->context.TryCancel();
  running->reader->Finish();
  v1::GenerateResponse response;
  while (waiting.reader->Read(&response)) {
  }
  EXPECT_TRUE(waiting.reader->Finish().ok()) << "who waited is served";
  EXPECT_TRUE(Generate(Ask(digest, "z", 5)).status.ok()) << "and so is who asks again";
}

}  // namespace
}  // namespace floe::inference
