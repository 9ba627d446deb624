// What the engine promises: the logits of a sequence are a function of its tokens alone, bit for
// bit.
#include <cmath>
#include <limits>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/cpu_engine.h"
#include "inference/engine/kv_cache.h"
#include "tests/inference/tiny_checkpoint.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;
using Tokens = std::vector<int32_t>;

Tokens RandomTokens(size_t n, uint32_t seed, int32_t vocab = 64) {
  std::mt19937 engine(seed);
  Tokens tokens(n);
  for (int32_t& token : tokens) token = static_cast<int32_t>(engine() % vocab);
  return tokens;
}

std::unique_ptr<Engine> MakeEngine(const model::Blueprint& blueprint, int threads = 1,
                                   int64_t blocks = 256) {
  auto engine =
      CreateCpuEngine(FormulaCheckpoint(blueprint),
                      {.num_threads = threads, .kv_bytes = blocks * KvBlockBytes(blueprint)});
  if (!engine.ok()) ADD_FAILURE() << engine.status();
  return *std::move(engine);
}

// Logits after every token of one sequence, in a single step: what all else is compared with.
std::vector<std::vector<float>> Reference(Engine& engine, const Tokens& tokens) {
  const SequenceId id = engine.Open();
  const SequenceStep step{id, tokens, true};
  Logits logits;
  EXPECT_TRUE(engine.Step({&step, 1}, &logits).ok());
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto row = logits.Row(static_cast<int64_t>(i));
    rows.emplace_back(row.begin(), row.end());
  }
  engine.Close(id);
  return rows;
}

class BatchTest : public testing::TestWithParam<std::tuple<model::Family, int>> {};

TEST_P(BatchTest, LogitsDoNotDependOnBatchOrChunks) {
  const auto [family, batch] = GetParam();
  const auto engine = MakeEngine(OddBlueprint(family));
  std::mt19937 random(static_cast<uint32_t>(batch));
  struct Running {
    Tokens tokens;
    SequenceId id;
    size_t done = 0;
    std::vector<std::vector<float>> expected;
  };
  std::vector<Running> all(static_cast<size_t>(batch));
  for (int i = 0; i < batch; ++i) {
    all[i].tokens = RandomTokens(5 + random() % 70, static_cast<uint32_t>(100 + i), 301);
    all[i].expected = Reference(*engine, all[i].tokens);
    all[i].id = engine->Open();
  }
  Logits logits;
  for (bool any = true; any;) {
    std::vector<SequenceStep> steps;
    std::vector<Running*> parts;
    for (Running& r : all) {
      const size_t left = r.tokens.size() - r.done;
      // A chunk of the prompt, a single token, or no part in this step.
      const size_t count = std::min<size_t>(left, random() % 3 == 0 ? random() % 15 : random() % 2);
      if (count == 0) continue;
      steps.push_back({r.id, std::span(r.tokens).subspan(r.done, count), random() % 4 == 0});
      parts.push_back(&r);
    }
    if (!steps.empty()) {
      ASSERT_TRUE(engine->Step(steps, &logits).ok());
    }
    int64_t row = 0;
    for (size_t i = 0; i < steps.size(); ++i) {
      const size_t count = steps[i].tokens.size();
      for (size_t k = steps[i].all_logits ? 0 : count - 1; k < count; ++k, ++row) {
        const auto got = logits.Row(row);
        ASSERT_EQ(std::vector<float>(got.begin(), got.end()),
                  parts[i]->expected[parts[i]->done + k])
            << "position " << parts[i]->done + k;
      }
      parts[i]->done += count;
    }
    any = std::any_of(all.begin(), all.end(),
                      [](const Running& r) { return r.done < r.tokens.size(); });
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, BatchTest,
                         testing::Combine(testing::Values(model::Family::kQwen3,
                                                          model::Family::kGpt2),
                                          testing::Values(1, 3, 8, 16)));

TEST(Engine, HiddenStatesAreThoseBehindTheLogitsInAnyBatchAndChunks) {
  const auto engine = MakeEngine(OddBlueprint(model::Family::kQwen3));
  const Tokens tokens = RandomTokens(90, 11, 301);
  const auto expected = Reference(*engine, tokens);
  Logits logits;
  const SequenceId whole = engine->Open();
  const SequenceStep all{whole, tokens, false, true};
  ASSERT_TRUE(engine->Step({&all, 1}, &logits).ok());
  EXPECT_TRUE(logits.values.empty());
  ASSERT_EQ(logits.hidden_size, 72);
  ASSERT_EQ(logits.hidden.size(), 90u * 72u);
  const std::vector<float> reference = logits.hidden;

  // In chunks, between a part that decodes and one that is scored, whose rows stay what they were.
  const SequenceId chunked = engine->Open();
  const SequenceId decoding = engine->Open();
  const SequenceId scored = engine->Open();
  std::vector<float> hidden;
  for (size_t done = 0; done < tokens.size();) {
    const size_t count = std::min<size_t>(tokens.size() - done, 1 + done % 7);
    const auto part = std::span(tokens).subspan(done, count);
    const SequenceStep steps[] = {
        {decoding, part}, {chunked, part, false, true}, {scored, part, true}};
    ASSERT_TRUE(engine->Step(steps, &logits).ok());
    hidden.insert(hidden.end(), logits.hidden.begin(), logits.hidden.end());
    done += count;
    const auto last = logits.Row(0);
    ASSERT_EQ(std::vector<float>(last.begin(), last.end()), expected[done - 1]);
    const auto scores = logits.Row(static_cast<int64_t>(count));
    ASSERT_EQ(std::vector<float>(scores.begin(), scores.end()), expected[done - 1]);
  }
  EXPECT_EQ(hidden, reference);
  // Normalised: the gains of the formula lie around 1.
  double squares = 0;
  for (int64_t k = 0; k < logits.hidden_size; ++k) squares += hidden[k] * hidden[k];
  EXPECT_NEAR(squares / 72, 1, 0.5);
}

TEST(Engine, LogitsDoNotDependOnTheNumberOfThreads) {
  const Tokens tokens = RandomTokens(150, 1, 301);
  for (const auto family : {model::Family::kQwen3, model::Family::kGpt2}) {
    const auto one = Reference(*MakeEngine(OddBlueprint(family), 1), tokens);
    EXPECT_EQ(Reference(*MakeEngine(OddBlueprint(family), 2), tokens), one);
    EXPECT_EQ(Reference(*MakeEngine(OddBlueprint(family), 5), tokens), one);
  }
}

TEST(Engine, PrefillThenDecodeEqualsOnePrefillInEveryFamily) {
  std::vector<model::Blueprint> all;
  for (const auto family : {model::Family::kQwen3, model::Family::kQwen2, model::Family::kLlama}) {
    all.push_back(TinyBlueprint(family));
    all.push_back(TinyBlueprint(family));
    all.back().ffn = model::FfnKind::kPlain;
  }
  all.push_back(TinyBlueprint(model::Family::kGpt2));
  for (const model::Blueprint& blueprint : all) {
    const auto engine = MakeEngine(blueprint);
    const Tokens tokens = RandomTokens(50, 2);
    const auto expected = Reference(*engine, tokens);
    const SequenceId id = engine->Open();
    Logits logits;
    for (size_t done = 0; done < tokens.size();) {
      const size_t count = done == 0 ? 20 : 1;
      const SequenceStep step{id, std::span(tokens).subspan(done, count)};
      ASSERT_TRUE(engine->Step({&step, 1}, &logits).ok());
      done += count;
      const auto row = logits.Row(0);
      ASSERT_EQ(std::vector<float>(row.begin(), row.end()), expected[done - 1]);
    }
    EXPECT_EQ(engine->Length(id), 50);
  }
}

TEST(Engine, FreedBlocksAreUsedAgainWithoutATrace) {
  const auto engine = MakeEngine(TinyBlueprint(model::Family::kQwen3), 1, 4);
  const Tokens tokens = RandomTokens(40, 3);
  const auto expected = Reference(*engine, tokens);
  Reference(*engine, RandomTokens(64, 4));
  EXPECT_EQ(Reference(*engine, tokens), expected);
  EXPECT_EQ(engine->kv().free_blocks, 4);
}

TEST(Engine, ExhaustedPoolIsAStatusThatChangesNothing) {
  const auto engine = MakeEngine(TinyBlueprint(model::Family::kQwen3), 1, 3);
  const SequenceId a = engine->Open();
  const SequenceId b = engine->Open();
  ASSERT_TRUE(engine->Reserve(a, 32).ok());
  EXPECT_EQ(engine->kv().free_blocks, 1);
  EXPECT_EQ(engine->Reserve(b, 17).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(engine->kv().free_blocks, 1);
  const Tokens tokens = RandomTokens(17, 5);
  const SequenceStep step{b, tokens};
  Logits logits;
  EXPECT_EQ(engine->Step({&step, 1}, &logits).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(engine->Length(b), 0);
  EXPECT_EQ(engine->kv().free_blocks, 1);
  engine->Close(a);
  EXPECT_EQ(engine->kv().free_blocks, 3);
  EXPECT_TRUE(engine->Step({&step, 1}, &logits).ok());
}

TEST(Engine, WrongStepsAreRefusedByName) {
  const auto engine = MakeEngine(TinyBlueprint(model::Family::kQwen3));
  const SequenceId id = engine->Open();
  Logits logits;
  const auto step = [&](Tokens tokens, SequenceId sequence) {
    const SequenceStep one{sequence, tokens};
    return engine->Step({&one, 1}, &logits);
  };
  EXPECT_THAT(step({64}, id).message(), HasSubstr("token id 64 is outside the vocabulary of 64"));
  EXPECT_FALSE(step({-1}, id).ok());
  EXPECT_FALSE(step({}, id).ok());
  EXPECT_FALSE(step({1}, id + 1).ok());
  EXPECT_EQ(step(RandomTokens(65, 6), id).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(engine->Reserve(id, 65).code(), absl::StatusCode::kOutOfRange);
  const Tokens one = {1};
  const SequenceStep twice[] = {{id, one}, {id, one}};
  EXPECT_EQ(engine->Step(twice, &logits).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(engine->Length(id), 0);
}

TEST(Engine, OptionsThatItCannotRunAreRefused) {
  const model::Checkpoint checkpoint = FormulaCheckpoint(TinyBlueprint(model::Family::kQwen3));
  EXPECT_EQ(CreateCpuEngine(checkpoint, {.num_threads = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateCpuEngine(checkpoint, {.max_step_tokens = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// gpt2 has no position to give a token beyond them.
TEST(Engine, LearnedPositionsBoundTheContextAndAllOfThemAreServed) {
  const auto engine = MakeEngine(TinyBlueprint(model::Family::kGpt2));
  const Tokens same(64, 7);
  const auto rows = Reference(*engine, same);
  for (size_t i = 1; i < rows.size(); ++i) EXPECT_NE(rows[i], rows[i - 1]) << i;
  const SequenceId id = engine->Open();
  EXPECT_EQ(engine->Reserve(id, 65).code(), absl::StatusCode::kOutOfRange);
  SequenceStep step{id, same};
  Logits logits;
  ASSERT_TRUE(engine->Step({&step, 1}, &logits).ok());
  step.tokens = std::span(same).first(1);
  EXPECT_EQ(engine->Step({&step, 1}, &logits).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(engine->Length(id), 64);
}

// One element of one tensor: matrices of the last layer, gains and biases alike.
TEST(Engine, AWeightThatIsNoNumberIsNamedWhereverItIs) {
  for (const model::Family family : {model::Family::kQwen3, model::Family::kLlama,
                                     model::Family::kQwen2, model::Family::kGpt2}) {
    const model::Blueprint blueprint = TinyBlueprint(family);
    float value = std::numeric_limits<float>::quiet_NaN();
    for (const model::TensorSpec& spec : model::TensorsOf(blueprint)) {
      const absl::Status status =
          CreateCpuEngine(FormulaCheckpoint(blueprint, 0.5f, {spec.name, value}), {}).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << spec.name;
      EXPECT_THAT(status.message(), HasSubstr("tensor " + spec.name + " in ")) << value;
      value = std::isnan(value) ? -std::numeric_limits<float>::infinity()
                                : std::numeric_limits<float>::quiet_NaN();
    }
  }
}

}  // namespace
}  // namespace floe::inference
