// The real scheduler over the engine of LibTorch's operators.
#include "gtest/gtest.h"

#include "inference/engine/cpu_engine.h"
#include "inference/engine/kv_cache.h"
#include "inference/engine/torch/aten_engine.h"
#include "inference/scheduler/scheduler.h"
#include "tests/inference/answer.h"
#include "tests/inference/tiny_checkpoint.h"

namespace floe::inference {
namespace {

constexpr int kRequests = 40;

// Some begin alike, and each asks for the likeliest ids: those do not hang on a last bit.
Request RequestOf(int i) {
  Request request = Ask({}, 3 + i * 11 % 37);
  for (int k = 0; k < 25 * (i % 4); ++k) request.prompt.push_back((13 * (i % 4) + k * k) % 64);
  for (int k = 0; k < 3 + i * 7 % 40; ++k) {
    request.prompt.push_back((11 * i + 5 * (k % 9)) % 64);
  }
  if (i % 4 != 3) request.cache_salt.push_back('a');
  request.top_logprobs = 0;
  return request;
}

struct Outcome {
  std::vector<int32_t> ids;
  std::vector<TokenLogProbabilities> logprobs;
};

std::vector<Outcome> RunAll(std::unique_ptr<Engine> engine, const SchedulerOptions& options,
                            SchedulerStats* stats) {
  const SystemClock clock;
  std::vector<Answer> answers(kRequests);
  Scheduler scheduler(std::move(engine), clock, options);
  for (int i = 0; i < kRequests; ++i) {
    EXPECT_TRUE(scheduler.Submit(RequestOf(i), answers[i].sink()).ok()) << i;
  }
  std::vector<Outcome> outcomes;
  for (Answer& answer : answers) {
    EXPECT_TRUE(answer.Wait().status.ok());
    outcomes.push_back({answer.ids(), answer.logprobs()});
  }
  EXPECT_TRUE(scheduler.WaitIdle(absl::Minutes(1)));
  *stats = scheduler.stats();
  return outcomes;
}

TEST(AtenScheduler, AnswersAreThoseOfTheCpuEngineWhateverRunsBesideThem) {
  for (const auto family : {model::Family::kQwen3, model::Family::kGpt2}) {
    model::Blueprint blueprint = TinyBlueprint(family);
    blueprint.context = 192;
    const model::Checkpoint checkpoint = FormulaCheckpoint(blueprint);
    SchedulerOptions options;
    options.queue.requests = kRequests;
    options.targets.tiers = {};  // nobody has a deadline
    SchedulerStats stats;
    const auto expected = RunAll(CreateCpuEngine(checkpoint, {}).value(), options, &stats);
    // With so few blocks that they are taken from one another, in small chunks, with guesses.
    options.plan = {.max_running = 12, .max_step_tokens = 40, .prefill_tokens = 11};
    options.speculation = {.max_draft = 5, .max_step_tokens = 40};
    const auto got =
        RunAll(CreateAtenEngine(checkpoint,
                                {.kv_bytes = 26 * AtenKvBlockBytes(blueprint, AtenDType::kF32)})
                   .value(),
               options, &stats);
    for (int i = 0; i < kRequests; ++i) {
      EXPECT_EQ(got[i].ids, expected[i].ids) << "request " << i;
      ASSERT_EQ(got[i].logprobs.size(), expected[i].logprobs.size());
      for (size_t k = 0; k < got[i].logprobs.size(); ++k) {
        EXPECT_NEAR(got[i].logprobs[k].log_probability, expected[i].logprobs[k].log_probability,
                    1e-4);
      }
    }
    EXPECT_GT(stats.preemptions, 0);
    EXPECT_GT(stats.prefix_cache_hits, 0);
    EXPECT_GT(stats.accepted_tokens, 0);
    EXPECT_EQ(stats.kv.free_blocks, stats.kv.total_blocks);
  }
}

}  // namespace
}  // namespace floe::inference
