// What clients may do to a worker from outside: it answers or refuses each, and afterwards holds
// what it held before.
#include <sys/resource.h>

#include <random>
#include <thread>

#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

class NeverDownTest : public WorkerTest {
 protected:
  // Nothing runs, waits, or holds a block.
  void ExpectAtRest(const std::string& digest) {
    const auto model = pool().Acquire(digest, [] { return false; });
    ASSERT_TRUE(model.ok()) << model.status();
    Scheduler& scheduler = *(*model)->scheduler;
    ASSERT_TRUE(scheduler.WaitIdle(absl::Seconds(60)));
    const SchedulerStats stats = scheduler.stats();
    EXPECT_EQ(stats.running + stats.waiting, 0);
    EXPECT_EQ(stats.kv.free_blocks, stats.kv.total_blocks);
  }
};

TEST_F(NeverDownTest, TenThousandRequestsOpenedAndCutLeaveNothingBehind) {
  const std::string digest = Publish(0.5f, 4096);
  ModelPoolOptions options;
  options.serve.scheduler.queue.requests = 64;
  Start(options);
  ASSERT_TRUE(Generate(Ask(digest, "a", 1)).status.ok());
  constexpr int kThreads = 8, kRequests = 10'000 / kThreads;
  std::vector<std::thread> clients;
  for (int c = 0; c < kThreads; ++c) {
    clients.emplace_back([&, c] {
      std::mt19937 random(static_cast<uint32_t>(c));
      for (int i = 0; i < kRequests; ++i) {
        v1::GenerateRequest request = Ask(digest, std::string(1 + random() % 300, 'x'), 3'000);
        request.set_ignore_eos(true);
        grpc::ClientContext context;
        const auto stream = stub().Generate(&context, request);
        v1::GenerateResponse response;
        // Cut before, at and after the first token.
        for (uint32_t read = random() % 3; read > 0 && stream->Read(&response); --read) {
        }
        context.TryCancel();
        const grpc::StatusCode code = stream->Finish().error_code();
        EXPECT_TRUE(code == grpc::StatusCode::CANCELLED ||
                    code == grpc::StatusCode::RESOURCE_EXHAUSTED)
            << code;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  ExpectAtRest(digest);
  const Answer after = Generate(Ask(digest, "abc", 5));
  EXPECT_TRUE(after.status.ok()) << after.status.error_message();
}

TEST_F(NeverDownTest, WithoutFileDescriptorsItGoesOnWithWhatItHas) {
  const std::string digest = Publish();
  const std::string other = Publish(0.4f);
  Start();
  const Answer before = Generate(Ask(digest, "abc", 5));
  ASSERT_TRUE(before.status.ok());
  rlimit limit;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit none = limit;
  none.rlim_cur = 0;  // those that are open stay; no new one
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const Answer loaded = Generate(Ask(digest, "abc", 5));
  const Answer refused = Generate(Ask(other, "abc", 5));  // must read files
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_TRUE(loaded.status.ok()) << loaded.status.error_message();
  EXPECT_EQ(loaded.ids, before.ids);
  EXPECT_FALSE(refused.status.ok());
  const Answer again = Generate(Ask(other, "abc", 5));
  EXPECT_TRUE(again.status.ok()) << again.status.error_message();
  ExpectAtRest(digest);
  ExpectAtRest(other);
}

}  // namespace
}  // namespace floe::inference
