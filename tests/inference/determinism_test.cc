// The same request gives the same tokens and log-probabilities, bit for bit, however it is served.
#include <bit>

#include "gtest/gtest.h"

#include "inference/engine/cpu_engine.h"
#include "inference/engine/kv_cache.h"
#include "inference/grammar/compiled_grammar.h"
#include "inference/grammar/grammar_cache.h"
#include "inference/scheduler/scheduler.h"
#include "model/quantization.h"
#include "tests/inference/answer.h"
#include "tests/inference/tiny_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {
namespace {

constexpr int kRequests = 200;
constexpr int64_t kContext = 192;

constexpr int32_t kEnd = 17;  // ends a text of a grammar

struct Weights {
  model::Family family;
  bool eight_bits = false;
};

model::Checkpoint MakeCheckpoint(const Weights& weights) {
  model::Blueprint blueprint = TinyBlueprint(weights.family);
  blueprint.context = kContext;
  model::Checkpoint wide = FormulaCheckpoint(blueprint);
  if (!weights.eight_bits) return wide;
  const test::TempDir folder;  // the mapping outlives its name
  EXPECT_TRUE(model::QuantizeCheckpoint(wide, folder / "narrow").ok());
  return model::Checkpoint::Open(folder / "narrow").value();
}

// Sums of numbers with brackets; each id is the byte of its number, as LetterStream has it.
std::shared_ptr<grammar::CompiledGrammar> MakeGrammar() {
  std::vector<std::string> tokens;
  for (int id = 0; id < 64; ++id) tokens.emplace_back(1, static_cast<char>(id));
  auto sums = grammar::CompileForm({grammar::Form::Kind::kEbnf,
                                    "root ::= term (\"+\" term)*\n"
                                    "term ::= [0-9]{1,3} | \"(\" root \")\"\n"});
  return grammar::CompiledGrammar::Create(
             *std::move(sums), std::make_shared<const grammar::TokenTrie>(
                                   std::move(tokens), std::vector<int32_t>{kEnd}, int64_t{64}))
      .value();
}

// All of an answer, numbers by their bits.
struct Outcome {
  FinishReason reason = FinishReason::kStop;
  std::vector<int32_t> ids;
  std::string text;
  std::vector<uint32_t> bits;
  bool operator==(const Outcome&) const = default;
};

Outcome OutcomeOf(Answer& answer) {
  const Finish finish = answer.Wait();
  EXPECT_TRUE(finish.status.ok()) << finish.status;
  Outcome outcome{finish.reason, answer.ids(), answer.text(), {}};
  const auto add = [&](float value) { outcome.bits.push_back(std::bit_cast<uint32_t>(value)); };
  for (const auto* told : {&answer.prompt_logprobs(), &answer.logprobs()}) {
    for (const TokenLogProbabilities& one : *told) {
      add(one.log_probability);
      for (const TokenLogProbability& top : one.top) {
        outcome.bits.push_back(static_cast<uint32_t>(top.id));
        add(top.log_probability);
      }
    }
  }
  for (const TokenScore& score : answer.scores()) {
    add(score.log_probability);
    outcome.bits.push_back(score.greedy);
  }
  for (const float value : answer.embedding()) add(value);
  return outcome;
}

// One of five beginnings that requests share, and an end of its own.
std::vector<int32_t> PromptOf(int i) {
  std::vector<int32_t> prompt;
  for (int k = 0; k < 25 * (i % 5); ++k) prompt.push_back((13 * (i % 5) + k * k) % 64);
  for (int k = 0; k < 3 + i * 7 % 40; ++k) prompt.push_back((11 * i + 5 * (k % 9)) % 64);
  return prompt;
}

Request RequestOf(int i, grammar::CompiledGrammar& sums) {
  Request request;
  request.prompt = PromptOf(i);
  request.tier = static_cast<ServiceTier>(i * 7 % kNumTiers);
  request.cache_salt = i % 4 == 3 ? "" : i % 4 == 2 ? "b" : "a";
  if (i % 10 == 4) {
    request.embed = true;
    request.last_token = i % 20 == 14;
    request.dimensions = i % 30 == 4 ? 12 : 0;
    return request;
  }
  if (i % 10 == 8) {
    request.score_from = 1 + i % static_cast<int>(request.prompt.size() - 1);
    return request;
  }
  request.max_tokens = 1 + i * 11 % 37;
  request.sampling = {.temperature = 0.4f * static_cast<float>(i % 4),
                      .top_k = i % 3 == 0 ? 12 : 0,
                      .top_p = i % 5 == 0 ? 0.9f : 1.0f,
                      .min_p = i % 7 == 0 ? 0.05f : 0.0f,
                      .seed = static_cast<uint64_t>(i / 2)};
  if (i % 4 == 1) {
    request.sampling.presence_penalty = 0.1f * static_cast<float>(i % 9);
    request.sampling.frequency_penalty = 0.2f * static_cast<float>(i % 7);
  }
  if (i % 7 == 3) request.sampling.repetition_penalty = 1.3f;
  if (i % 11 < 3) request.sampling.logit_bias = {{i % 64, 2.5f}, {(i + 20) % 64, -100}};
  if (i % 2 == 0) request.top_logprobs = i % 6;
  request.sampled_logprobs = i % 4 == 2;
  request.prompt_logprobs = i % 8 == 6;
  if (i % 6 == 5) request.stop_ids = {i % 64, kEnd};
  if (i % 6 == 3 || i % 6 == 2) {
    request.constraint = sums.NewConstraint();
    request.stop_ids = {kEnd};
    request.text = std::make_unique<LetterStream>();
    return request;
  }
  if (i % 3 == 1) {
    request.text = std::make_unique<LetterStream>();
    const auto text = [](std::initializer_list<int> ids) {
      std::string letters;
      for (const int id : ids) letters.push_back(static_cast<char>(id % 64));
      return letters;
    };
    request.stop = {text({i, i + 9}), text({3 * i + 1})};
    if (i % 9 == 1) request.continued = 2;
  }
  return request;
}

SchedulerOptions Unhurried() {
  SchedulerOptions options;
  options.queue.requests = kRequests;
  options.targets.tiers = {};  // nobody has a deadline
  return options;
}

class DeterminismTest : public testing::TestWithParam<Weights> {
 protected:
  std::unique_ptr<Engine> MakeEngine(int threads, int64_t blocks) {
    auto engine = CreateCpuEngine(
        checkpoint_,
        {.num_threads = threads, .kv_bytes = blocks * KvBlockBytes(checkpoint_.blueprint())});
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }

  // Each on an engine of its own, with nothing cached, in as few steps as may be.
  std::vector<Outcome> OneByOne() {
    std::vector<Outcome> outcomes;
    for (int i = 0; i < kRequests; ++i) {
      Answer answer;
      SchedulerOptions options = Unhurried();
      options.plan = {.max_running = 1, .max_step_tokens = 256, .prefill_tokens = 256};
      Scheduler scheduler(MakeEngine(1, 16), clock_, options);
      Request request = RequestOf(i, *sums_);
      request.cache_salt.clear();
      EXPECT_TRUE(scheduler.Submit(std::move(request), answer.sink()).ok()) << i;
      outcomes.push_back(OutcomeOf(answer));
    }
    return outcomes;
  }

  // All at once in small chunks, with so few blocks that they take them from one another, behind
  // requests that leave the cache warm.
  std::vector<Outcome> AllAtOnce(int64_t max_draft, std::unique_ptr<Engine> draft,
                                 SchedulerStats* stats) {
    SchedulerOptions options = Unhurried();
    options.plan = {.max_running = 24, .max_step_tokens = 40, .prefill_tokens = 11};
    options.speculation = {.max_draft = max_draft, .max_step_tokens = 40};
    std::vector<Answer> answers(kRequests);
    Scheduler scheduler(MakeEngine(2, 26), clock_, options, std::move(draft));
    for (const int i : {0, 1, 2, 3, 5, 6, 7, 9}) {
      Answer warm;
      EXPECT_TRUE(scheduler.Submit(RequestOf(i, *sums_), warm.sink()).ok());
      warm.Wait();
    }
    for (int i = 0; i < kRequests; ++i) {
      EXPECT_TRUE(scheduler.Submit(RequestOf(i, *sums_), answers[i].sink()).ok()) << i;
    }
    std::vector<Outcome> outcomes;
    for (Answer& answer : answers) outcomes.push_back(OutcomeOf(answer));
    EXPECT_TRUE(scheduler.WaitIdle(absl::Minutes(1)));
    *stats = scheduler.stats();
    return outcomes;
  }

  static void ExpectSame(const std::vector<Outcome>& got, const std::vector<Outcome>& expected) {
    for (int i = 0; i < kRequests; ++i) {
      EXPECT_EQ(got[i].reason, expected[i].reason) << "request " << i;
      EXPECT_EQ(got[i].ids, expected[i].ids) << "request " << i;
      EXPECT_EQ(got[i].text, expected[i].text) << "request " << i;
      EXPECT_EQ(got[i].bits, expected[i].bits) << "request " << i;
    }
  }

  const SystemClock clock_;
  const model::Checkpoint checkpoint_ = MakeCheckpoint(GetParam());
  // Shared by all requests, as a worker's cache has it.
  const std::shared_ptr<grammar::CompiledGrammar> sums_ = MakeGrammar();
};

TEST_P(DeterminismTest, AloneOrInAFullBatchColdOrWarmPreemptedOrNotGuessedOrNot) {
  const std::vector<Outcome> alone = OneByOne();
  for (const int64_t max_draft : {0, 5}) {
    SchedulerStats stats;
    ExpectSame(AllAtOnce(max_draft, nullptr, &stats), alone);
    EXPECT_GT(stats.preemptions, 0);
    EXPECT_GT(stats.prefix_cache_hits, 0);
    EXPECT_EQ(stats.kv.free_blocks, stats.kv.total_blocks);
    EXPECT_EQ(stats.drafted_tokens > 0, max_draft > 0);
    EXPECT_EQ(stats.accepted_tokens > 0, max_draft > 0);
    EXPECT_LT(stats.accepted_tokens, stats.drafted_tokens + (max_draft == 0 ? 1 : 0));
  }
}

// The model as its own draft: it draws the same random numbers, so that it is right at every
// temperature where nothing but the logits decides.
TEST_P(DeterminismTest, WithADraftModel) {
  SchedulerStats lookup, drafted;
  AllAtOnce(5, nullptr, &lookup);
  ExpectSame(AllAtOnce(5, MakeEngine(1, 40), &drafted), OneByOne());
  EXPECT_GT(drafted.accepted_tokens, 2 * lookup.accepted_tokens);
  EXPECT_EQ(drafted.kv.free_blocks, drafted.kv.total_blocks);
}

INSTANTIATE_TEST_SUITE_P(Families, DeterminismTest,
                         testing::Values(Weights{model::Family::kQwen3},
                                         Weights{model::Family::kGpt2},
                                         Weights{model::Family::kQwen3, /*eight_bits=*/true}),
                         [](const auto& info) {
                           return std::string(model::FamilyName(info.param.family)) +
                                  (info.param.eight_bits ? "In8Bits" : "");
                         });

}  // namespace
}  // namespace floe::inference
