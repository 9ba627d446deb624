// A gateway in this process in front of two real workers and a real floe-billing.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/money/billing_process.h"
#include "tests/services/gateway/money/till.h"
#include "tests/services/gateway/moving/worker_process.h"
#include "tests/services/inference/published_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace floe::gateway {

class MovingFixture : public testing::Test {
 protected:
  static constexpr int64_t kContext = 16384;

  // Of a model that nothing but its length, or its form, ends. No template: it does not chat.
  void StartWorkers(absl::Duration drain_grace, const std::string& chat_template = "") {
    const std::string digest =
        inference::PublishCheckpoint(dir_ / "checkpoint", dir_ / "blobs",
                                     {.context = kContext,
                                      .tokenizer_json = inference::ByteTokenizerJson("<|nothing|>"),
                                      .chat_template = chat_template});
    FakeFleetOptions options{.checkpoint = dir_ / "checkpoint", .money = till_.ports()};
    for (int i = 0; i < 2; ++i) {
      workers_.push_back(std::make_unique<WorkerProcess>(
          WorkerProcessOptions{.blobs = dir_ / "blobs",
                               .preload = digest,
                               .billing = absl::StrCat("127.0.0.1:", billing_.port()),
                               .drain_grace = drain_grace}));
      options.worker_addresses.push_back(workers_.back()->address());
    }
    fleet_ = std::make_unique<FakeFleet>(options);
  }

  // The worker that computes, once it holds that many blocks of its KV cache.
  WorkerProcess& AwaitBusy(int64_t blocks = 0) {
    while (true) {
      for (const auto& worker : workers_) {
        const WorkerLoad load = worker->load();
        if (load.running > 0 && load.kv_blocks >= blocks) return *worker;
      }
    }
  }

  // Usage once the workers' own records of it have come too.
  billing::v1::ExplainUsageResponse ExplainAttempts(const std::string& usage_id, int attempts) {
    while (true) {
      const billing::v1::ExplainUsageResponse usage = billing_.Explain(usage_id);
      if (usage.attempts_size() >= attempts) return usage;
    }
  }

  test::TempDir dir_;
  BillingProcess billing_;
  Till till_{billing_};
  std::vector<std::unique_ptr<WorkerProcess>> workers_;
  std::unique_ptr<FakeFleet> fleet_;
};

}  // namespace floe::gateway
