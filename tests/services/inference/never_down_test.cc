// What clients may do to a worker from outside: it answers or refuses each, and afterwards holds
// what it held before.
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <thread>

#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

struct Memory {
  int64_t heap = 0;      // bytes that were allocated and not freed
  int64_t resident = 0;  // bytes
};

Memory MemoryNow() {
  const struct mallinfo2 info = ::mallinfo2();
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return {static_cast<int64_t>(info.uordblks + info.hblkhd), resident * ::sysconf(_SC_PAGESIZE)};
}

class NeverDownTest : public WorkerTest {
 protected:
  // Eight clients that open so many requests in all, and cut each before, at or after its first
  // token.
  void OpenAndCut(const std::string& digest, int requests) {
    constexpr int kClients = 8;
    std::vector<std::thread> clients;
    for (int c = 0; c < kClients; ++c) {
      clients.emplace_back([&, c] {
        std::mt19937 random(static_cast<uint32_t>(c));
        for (int i = 0; i < requests / kClients; ++i) {
          v1::GenerateRequest request = Ask(digest, std::string(1 + random() % 300, 'x'), 3'000);
          request.set_ignore_eos(true);
          grpc::ClientContext context;
          const auto stream = stub().Generate(&context, request);
          v1::GenerateResponse response;
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
  }
};

// What is allocated once (threads, channels, buffers of a size that had not come before) is there
// after the first thousand. Of the others a leak of 200 bytes each would be seen.
TEST_F(NeverDownTest, TenThousandRequestsOpenedAndCutLeaveNothingBehind) {
  constexpr int kRequests = 10'000;
  const std::string digest = Publish(0.5f, 4096);
  ModelPoolOptions options;
  options.serve.scheduler.queue.requests = 64;
  Start(options);
  ASSERT_TRUE(Generate(Ask(digest, "a", 1)).status.ok());
  OpenAndCut(digest, 1'000);
  const Memory before = MemoryNow();
  OpenAndCut(digest, kRequests);
  const Memory after = MemoryNow();
  RecordProperty("heap_growth_bytes", std::to_string(after.heap - before.heap));
  RecordProperty("resident_growth_bytes", std::to_string(after.resident - before.resident));
  EXPECT_LT(after.heap - before.heap, 200 * kRequests);
  // Fragments of the allocator's arenas come on top.
  EXPECT_LT(after.resident - before.resident, 16 << 20);
  const Answer last = Generate(Ask(digest, "abc", 5));
  EXPECT_TRUE(last.status.ok()) << last.status.error_message();
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
