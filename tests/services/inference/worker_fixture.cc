#include "tests/services/inference/worker_fixture.h"

#include "registry/blobs/layout.h"
#include "services/inference/blob_source.h"

namespace floe::inference {
std::filesystem::path WorkerTest::BlobPath(std::string_view digest) const {
  return registry::BlobPath(dir_ / "blobs", digest);
}

std::string WorkerTest::Publish(float spread, int64_t context, std::string tokenizer_json,
                                int64_t layers) {
  PublishedCheckpoint options{.spread = spread, .context = context, .layers = layers};
  if (!tokenizer_json.empty()) options.tokenizer_json = std::move(tokenizer_json);
  const std::filesystem::path folder = dir_ / "checkpoint";
  const std::string digest = PublishCheckpoint(folder, dir_ / "blobs", options);
  std::filesystem::remove_all(folder);
  return digest;
}

void WorkerTest::Start(ModelPoolOptions options) {
  options.serve.engine.kv_bytes = std::min<int64_t>(options.serve.engine.kv_bytes, 4 << 20);
  cache_ = std::make_unique<NodeCache>(dir_ / "cache", MakeFolderBlobSource(dir_ / "blobs"));
  pool_ = std::make_unique<ModelPool>(Source(), clock_, options);
  inference_metrics_ = std::make_unique<InferenceMetrics>(metrics_, *pool_);
  if (keeps_attempts_) {
    attempts_ = *AttemptLog::Open(dir_ / "attempts", nullptr, {clock_, ids_, logger_, metrics_});
  }
  rpc_ = std::make_unique<InferenceRpc>(calls_, RpcClock(), *pool_, *inference_metrics_,
                                        attempts_.get());
  grpc::ServerBuilder builder;
  builder.RegisterService(rpc_.get());
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  server_ = builder.BuildAndStart();
  stub_ = v1::InferenceService::NewStub(server_->InProcessChannel({}));
}

void WorkerTest::Stop() {
  server_->Shutdown();
  server_->Wait();
  attempts_.reset();
}

void WorkerTest::ExpectAtRest(const std::string& digest) {
  const auto model = pool_->Acquire(digest, [] { return false; });
  ASSERT_TRUE(model.ok()) << model.status();
  Scheduler& scheduler = *(*model)->scheduler;
  ASSERT_TRUE(scheduler.WaitIdle(absl::Seconds(60)));
  const SchedulerStats stats = scheduler.stats();
  EXPECT_EQ(stats.running + stats.waiting, 0);
  EXPECT_EQ(stats.kv.free_blocks, stats.kv.total_blocks);
}

v1::GenerateRequest WorkerTest::Ask(const std::string& digest, std::string_view prompt,
                                    int max_tokens) {
  v1::GenerateRequest request;
  request.set_checkpoint_digest(digest);
  for (const unsigned char c : prompt) request.add_prompt_ids(c);
  request.set_max_tokens(max_tokens);
  return request;
}

WorkerTest::Answer WorkerTest::Generate(const v1::GenerateRequest& request) {
  grpc::ClientContext context;
  Answer answer;
  const auto stream = stub_->Generate(&context, request);
  v1::GenerateResponse response;
  while (stream->Read(&response)) {
    EXPECT_FALSE(answer.finish.reason()) << "a message after the last one";
    if (++answer.messages == 1) answer.first_cached_tokens = response.cached_tokens();
    answer.ids.insert(answer.ids.end(), response.ids().begin(), response.ids().end());
    answer.text += response.text();
    answer.logprobs.insert(answer.logprobs.end(), response.log_probabilities().begin(),
                           response.log_probabilities().end());
    answer.prompt_logprobs.insert(answer.prompt_logprobs.end(),
                                  response.prompt_log_probabilities().begin(),
                                  response.prompt_log_probabilities().end());
    if (response.has_finish()) answer.finish = response.finish();
  }
  answer.status = stream->Finish();
  return answer;
}

}  // namespace floe::inference
