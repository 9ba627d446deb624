// A worker in this process: tiny checkpoints in a shared blob folder, the real service behind a
// real gRPC channel.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/clock.h"
#include "base/id.h"
#include "services/inference/inference_metrics.h"
#include "services/inference/inference_rpc.h"
#include "services/inference/model_pool.h"
#include "services/inference/node_cache.h"
#include "services/runtime/call.h"
#include "tests/services/inference/published_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {

class WorkerTest : public testing::Test {
 protected:
  // Publishes a checkpoint into the blob folder; `spread` tells several apart. Its digest. An empty
  // `tokenizer_json` is that of the ids above.
  std::string Publish(float spread = 0.5f, int64_t context = 512, std::string tokenizer_json = "",
                      int64_t layers = 2);
  std::filesystem::path BlobPath(std::string_view digest) const;

  // From its start on the worker keeps records of what it does, in dir_ / "attempts".
  void KeepAttempts() { keeps_attempts_ = true; }
  void Start(ModelPoolOptions options = {});
  // Where it takes weights from, and its methods the time: a test may give its own.
  virtual WeightSource& Source() { return *cache_; }
  virtual const Clock& RpcClock() { return clock_; }
  // Ends it; what it kept is on disk.
  void Stop();
  v1::InferenceService::Stub& stub() { return *stub_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  InferenceRpc& rpc() { return *rpc_; }
  ModelPool& pool() { return *pool_; }
  NodeCache& cache() { return *cache_; }
  // With a sample of this moment.
  std::string metrics() {
    inference_metrics_->Sample();
    return metrics_.Exposition();
  }

  struct Answer {
    grpc::Status status;
    std::vector<uint32_t> ids;
    std::string text;
    std::vector<v1::IdLogProbabilities> logprobs;
    std::vector<v1::IdLogProbabilities> prompt_logprobs;
    v1::Finish finish;
    int messages = 0;
    int64_t first_cached_tokens = 0;  // by the first message
  };
  Answer Generate(const v1::GenerateRequest& request);
  // Waits until nothing of the model runs or waits, and expects that no block of its KV cache is
  // held.
  void ExpectAtRest(const std::string& digest);
  static v1::GenerateRequest Ask(const std::string& digest, std::string_view prompt,
                                 int max_tokens);

  test::TempDir dir_;
  SystemClock clock_;

 private:
  UlidGenerator ids_{clock_};
  runtime::Logger logger_{"inference", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  runtime::Calls calls_{{logger_, metrics_, clock_, ids_, "inference.floe"}};
  std::unique_ptr<NodeCache> cache_;
  std::unique_ptr<ModelPool> pool_;
  std::unique_ptr<InferenceMetrics> inference_metrics_;
  bool keeps_attempts_ = false;
  std::unique_ptr<AttemptLog> attempts_;
  std::unique_ptr<InferenceRpc> rpc_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
};

}  // namespace floe::inference
