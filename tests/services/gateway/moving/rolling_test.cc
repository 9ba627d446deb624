// An alias that moves to another version under load, with a real registry and real workers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"
#include "tests/services/gateway/moving/registry_process.h"
#include "tests/services/gateway/moving/worker_process.h"
#include "tests/services/inference/published_checkpoint.h"

namespace floe::gateway {
namespace {

using nlohmann::json;

constexpr size_t kClients = 6;
constexpr int kTokens = 40;

// Of the test: whether answers of the new version, and then of the old one again, were seen.
enum Phase { kBefore, kMoved, kMovingBack, kMovedBack };

class RollingTest : public testing::Test {
 protected:
  RollingTest() {
    for (const float spread : {0.5f, 0.9f}) {
      const std::filesystem::path folder = dir_ / absl::StrCat("checkpoint-", spread);
      inference::PublishCheckpoint(
          folder, dir_ / "blobs",
          {.spread = spread, .tokenizer_json = inference::ByteTokenizerJson("<|nothing|>")});
      digests_.push_back(registry_.Publish("hamlet", folder));
    }
    EXPECT_TRUE(registry_.Promote("hamlet", 1).ok());
    FakeFleetOptions options{.registry_address = registry_.address()};
    for (int i = 0; i < 2; ++i) {
      workers_.push_back(
          std::make_unique<WorkerProcess>(WorkerProcessOptions{.registry = registry_.address()}));
      options.worker_addresses.push_back(workers_.back()->address());
    }
    fleet_ = std::make_unique<FakeFleet>(options);
    for (size_t i = 0; i < kClients; ++i) clients_.emplace_back([this] { AskOn(); });
  }
  ~RollingTest() override {
    ending_ = true;
    for (std::thread& client : clients_) client.join();
  }

  // One client: a stream after the other, each of which has to come whole.
  void AskOn() {
    const std::string body = json({{"model", "hamlet"},
                                   {"prompt", "Once"},
                                   {"max_tokens", kTokens},
                                   {"temperature", 1},
                                   {"seed", 5},
                                   {"stream", true},
                                   {"floe", {{"cache", "off"}}}})
                                 .dump();
    HttpClient client(fleet_->port());
    while (!ending_) {
      const Phase before = phase_;
      const HttpAnswer answer = client.Post("/v1/completions", body);
      const std::vector<std::string> events = EventsOf(answer.body);
      if (answer.status != 200 || events.empty() || events.back() != "[DONE]") {
        ++failures_;
        ADD_FAILURE() << answer.status << " " << answer.body;
        return;
      }
      Take(events, before);
    }
  }

  void Take(const std::vector<std::string>& events, Phase before) {
    std::string text, fingerprint;
    for (const std::string& event : events) {
      if (event == "[DONE]") continue;
      const json chunk = json::parse(event);
      fingerprint = chunk.value("system_fingerprint", fingerprint);
      for (const json& choice : chunk["choices"]) text += choice.value("text", "");
    }
    for (size_t version = 0; version < digests_.size(); ++version) {
      if (fingerprint.find(digests_[version].substr(0, 12)) == std::string::npos) continue;
      const std::lock_guard lock(mutex_);
      texts_[version].insert(text);
      ++answers_[version];
      // Who asks when an answer of the new version has been seen gets the new version.
      if (before == kMoved && phase_ == kMoved && version == 0) ++late_;
      if (before == kMovedBack && version == 1) ++late_;
      return;
    }
    ADD_FAILURE() << "an answer of no version: " << fingerprint;
  }

  int64_t Answers(size_t version) {
    const std::lock_guard lock(mutex_);
    return answers_[version];
  }
  // Until so many more answers have come from that version.
  void AwaitMore(size_t version, int64_t more) {
    const int64_t enough = Answers(version) + more;
    while (Answers(version) < enough && failures_ == 0) std::this_thread::yield();
  }

  test::TempDir dir_;
  RegistryProcess registry_;
  std::vector<std::string> digests_;
  std::vector<std::unique_ptr<WorkerProcess>> workers_;
  std::unique_ptr<FakeFleet> fleet_;
  std::atomic<bool> ending_{false};
  std::atomic<int> failures_{0};
  std::atomic<Phase> phase_{kBefore};
  std::mutex mutex_;
  std::array<int64_t, 2> answers_ = {};         // guarded by mutex_, by version
  std::array<std::set<std::string>, 2> texts_;  // guarded by mutex_
  int late_ = 0;                                // guarded by mutex_
  std::vector<std::thread> clients_;
};

// The new version is not even loaded anywhere when the alias moves.
TEST_F(RollingTest, AMovedAliasTakesTheTrafficAlongWithoutOneFailedRequest) {
  AwaitMore(0, 10 * kClients);
  ASSERT_TRUE(registry_.Promote("hamlet", 2).ok());
  AwaitMore(1, 1);
  phase_ = kMoved;
  AwaitMore(1, 10 * kClients);
  phase_ = kMovingBack;
  ASSERT_TRUE(registry_.Promote("hamlet", 1).ok());
  AwaitMore(0, 1);
  phase_ = kMovedBack;
  AwaitMore(0, 10 * kClients);
  ending_ = true;
  for (std::thread& client : clients_) client.join();
  clients_.clear();

  EXPECT_EQ(failures_, 0);
  EXPECT_EQ(late_, 0);
  // Whoever answered, alone or among others: one version, one text.
  EXPECT_EQ(texts_[0].size(), 1u);
  EXPECT_EQ(texts_[1].size(), 1u);
  EXPECT_NE(*texts_[0].begin(), *texts_[1].begin());
  // What nobody asks for any more can leave.
  for (const auto& worker : workers_) {
    const absl::Status gone = worker->Unload(digests_[1]);
    EXPECT_TRUE(gone.ok() || absl::IsNotFound(gone)) << gone;
  }
}

}  // namespace
}  // namespace floe::gateway
