// The numbers that a worker tells: their names, whose they are, and that each end of a call counts.
#include <cstdlib>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

class MetricsTest : public WorkerTest {
 protected:
  // What stands behind `series` (a name with its labels), -1 where there is no such line.
  double Value(const std::string& series) {
    const std::string text = metrics();
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      if (line.substr(0, series.size() + 1) == series + " ") {
        return std::atof(std::string(line.substr(series.size() + 1)).c_str());
      }
    }
    return -1;
  }
  static std::string Of(const std::string& digest) {
    return absl::StrCat("{model_name=\"", digest.substr(0, 12), "\"}");
  }
  static std::string Ended(const std::string& digest, const char* reason) {
    return absl::StrCat("vllm:request_success_total{finished_reason=\"", reason, "\",model_name=\"",
                        digest.substr(0, 12), "\"}");
  }
  void Unload(const std::string& digest) {
    v1::UnloadCheckpointRequest request;
    request.set_digest(digest);
    // The sampling thread may hold the model at this moment.
    grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
    do {
      grpc::ClientContext context;
      v1::UnloadCheckpointResponse nothing;
      code = stub().UnloadCheckpoint(&context, request, &nothing).error_code();
    } while (code == grpc::StatusCode::FAILED_PRECONDITION);
    ASSERT_EQ(code, grpc::StatusCode::OK);
  }
};

// Of vLLM and OpenTelemetry those that dashboards and pickers look for; ours behind them.
TEST_F(MetricsTest, AWorkerThatHasServedTellsEveryName) {
  const std::string digest = Publish();
  Start();
  v1::GenerateRequest request = Ask(digest, "abc", 3);
  request.set_ignore_eos(true);
  ASSERT_TRUE(Generate(request).status.ok());
  std::set<std::string> told;
  const std::string text = metrics();
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() == 4 && words[1] == "TYPE") told.insert(words[2] + " " + words[3]);
  }
  EXPECT_THAT(told,
              IsSupersetOf<std::string>({"vllm:num_requests_running gauge",
                                         "vllm:num_requests_waiting gauge",
                                         "vllm:kv_cache_usage_perc gauge",
                                         "vllm:prompt_tokens_total counter",
                                         "vllm:generation_tokens_total counter",
                                         "vllm:prefix_cache_queries_total counter",
                                         "vllm:prefix_cache_hits_total counter",
                                         "vllm:num_preemptions_total counter",
                                         "vllm:request_success_total counter",
                                         "vllm:time_to_first_token_seconds histogram",
                                         "vllm:inter_token_latency_seconds histogram",
                                         "vllm:e2e_request_latency_seconds histogram",
                                         "vllm:request_queue_time_seconds histogram",
                                         "vllm:request_prefill_time_seconds histogram",
                                         "vllm:request_decode_time_seconds histogram",
                                         "vllm:request_inference_time_seconds histogram",
                                         "vllm:request_prompt_tokens histogram",
                                         "vllm:request_generation_tokens histogram",
                                         "vllm:iteration_tokens_total histogram",
                                         "vllm:spec_decode_num_draft_tokens_total counter",
                                         "vllm:spec_decode_num_accepted_tokens_total counter",
                                         "gen_ai_server_request_duration_seconds histogram",
                                         "gen_ai_server_time_to_first_token_seconds histogram",
                                         "gen_ai_server_time_per_output_token_seconds histogram",
                                         "floe_inference_tier_met_total counter",
                                         "floe_inference_tier_requests_waiting gauge",
                                         "floe_inference_num_rejected_total counter",
                                         "floe_inference_prefix_cache_blocks gauge",
                                         "floe_inference_kv_block_seconds_total counter"}));
  EXPECT_EQ(Value(Ended(digest, "length")), 1);
  EXPECT_EQ(Value("vllm:request_prompt_tokens_sum" + Of(digest)), 3);
  EXPECT_EQ(Value("vllm:request_generation_tokens_sum" + Of(digest)), 3);
  EXPECT_EQ(Value("vllm:prompt_tokens_total" + Of(digest)), 3);
  EXPECT_EQ(Value("vllm:generation_tokens_total" + Of(digest)), 3);
  EXPECT_EQ(Value("vllm:num_preemptions_total" + Of(digest)), 0);
}

// A picker of workers must find these, and no load of a model that has gone.
TEST_F(MetricsTest, LoadIsToldBeforeAModelIsLoadedAndNotAfterItIsUnloaded) {
  const std::string digest = Publish(0.5f, 100'000);
  Start();
  const std::vector<std::string> gauges = {"vllm:num_requests_running", "vllm:num_requests_waiting",
                                           "vllm:kv_cache_usage_perc"};
  for (const std::string& gauge : gauges) EXPECT_EQ(Value(gauge), 0) << gauge;

  v1::GenerateRequest request = Ask(digest, "x", 5'000);
  request.set_ignore_eos(true);
  grpc::ClientContext context;
  const auto stream = stub().Generate(&context, request);
  v1::GenerateResponse response;
  // The second token comes after the first step's figures are published.
  ASSERT_TRUE(stream->Read(&response) && stream->Read(&response));
  EXPECT_EQ(Value("vllm:num_requests_running" + Of(digest)), 1);
  EXPECT_EQ(Value("vllm:num_requests_waiting" + Of(digest)), 0);
  EXPECT_GT(Value("vllm:kv_cache_usage_perc" + Of(digest)), 0);
  for (const std::string& gauge : gauges) EXPECT_EQ(Value(gauge), -1) << gauge;

  context.TryCancel();
  stream->Finish();
  Unload(digest);
  for (const std::string& gauge : gauges) {
    EXPECT_EQ(Value(gauge + Of(digest)), -1) << gauge;
    EXPECT_EQ(Value(gauge), 0) << gauge;
  }
  EXPECT_THAT(metrics(),
              Not(HasSubstr(absl::StrCat("floe_inference_tier_requests_waiting", "{model_name"))));
  const double before = Value("vllm:prompt_tokens_total" + Of(digest));
  ASSERT_TRUE(Generate(Ask(digest, "abc", 3)).status.ok());
  EXPECT_EQ(Value("vllm:prompt_tokens_total" + Of(digest)), before + 3) << "counters only grow";
}

TEST_F(MetricsTest, ACancelledCallIsCountedOnceWithWhatItTook) {
  const std::string digest = Publish(0.5f, 100'000);
  Start();
  v1::GenerateRequest request = Ask(digest, "x", 5'000);
  request.set_ignore_eos(true);
  grpc::ClientContext context;
  const auto stream = stub().Generate(&context, request);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream->Read(&response));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  Stop();  // waits for the call's end here
  EXPECT_EQ(Value(Ended(digest, "abort")), 1);
  EXPECT_EQ(Value("vllm:e2e_request_latency_seconds_count" + Of(digest)), 1);
  EXPECT_GT(Value("vllm:e2e_request_latency_seconds_sum" + Of(digest)), 0);
  EXPECT_EQ(Value("vllm:time_to_first_token_seconds_count" + Of(digest)), 1);
  EXPECT_GT(Value("floe_inference_kv_block_seconds_total"), 0);
}

TEST_F(MetricsTest, ACallThatIsHandedOverIsCountedOnce) {
  const std::string digest = Publish(0.5f, 100'000);
  Start();
  v1::GenerateRequest request = Ask(digest, "x", 5'000);
  request.set_ignore_eos(true);
  grpc::ClientContext context;
  const auto stream = stub().Generate(&context, request);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream->Read(&response));
  rpc().EndBy(clock_.Now());
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Value(Ended(digest, "abort")), 1);
  EXPECT_GT(Value("floe_inference_kv_block_seconds_total"), 0);
}

TEST_F(MetricsTest, EachSequenceThatIsScoredCountsOnce) {
  const std::string digest = Publish();
  Start();
  v1::ScoreRequest request;
  request.set_checkpoint_digest(digest);
  for (int i = 0; i < 20; ++i) {
    auto& sequence = *request.add_sequences();
    for (const uint32_t id : {7u, 8u, 9u}) sequence.add_ids(id);
    sequence.set_score_from(1);
  }
  grpc::ClientContext context;
  v1::ScoreResponse response;
  ASSERT_TRUE(stub().Score(&context, request, &response).ok());
  EXPECT_EQ(Value(Ended(digest, "scored")), 20);
}

}  // namespace
}  // namespace floe::inference
