// The engine over LibTorch beside the CPU engine: the same logits to 1e-4, the same bookkeeping. On
// the processor, and on a CUDA device where there is one.
#include "inference/engine/torch/aten_engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/cpu_engine.h"
#include "model/quantization.h"
#include "tests/inference/tiny_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;
using Tokens = std::vector<int32_t>;

Tokens RandomTokens(size_t n, uint32_t seed, int32_t vocab = 301) {
  std::mt19937 engine(seed);
  Tokens tokens(n);
  for (int32_t& token : tokens) token = static_cast<int32_t>(engine() % vocab);
  return tokens;
}

std::vector<AtenDevice> Devices() {
  std::vector<AtenDevice> devices = {AtenDevice::kCpu};
  if (CheckCuda().ok()) devices.push_back(AtenDevice::kCuda);
  return devices;
}

std::unique_ptr<Engine> MakeAten(const model::Checkpoint& checkpoint, AtenDevice device,
                                 int64_t blocks = 256, AtenDType dtype = AtenDType::kF32) {
  auto engine = CreateAtenEngine(
      checkpoint, {.device = device,
                   .dtype = dtype,
                   .kv_bytes = blocks * AtenKvBlockBytes(checkpoint.blueprint(), dtype)});
  if (!engine.ok()) ADD_FAILURE() << engine.status();
  return *std::move(engine);
}

std::unique_ptr<Engine> MakeCpu(const model::Checkpoint& checkpoint) {
  auto engine = CreateCpuEngine(checkpoint, {});
  if (!engine.ok()) ADD_FAILURE() << engine.status();
  return *std::move(engine);
}

std::vector<float> RowOf(const Logits& logits, int64_t row) {
  const auto values = logits.Row(row);
  return {values.begin(), values.end()};
}

// Logits after every token of one sequence, in a single step.
std::vector<std::vector<float>> AllLogits(Engine& engine, const Tokens& tokens) {
  const SequenceId id = engine.Open();
  const SequenceStep step{id, tokens, true};
  Logits logits;
  EXPECT_TRUE(engine.Step({&step, 1}, &logits).ok());
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < tokens.size(); ++i) rows.push_back(RowOf(logits, i));
  engine.Close(id);
  return rows;
}

void ExpectNear(std::span<const float> got, std::span<const float> expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-4) << "at " << i;
}

void ExpectAllNear(const std::vector<std::vector<float>>& got,
                   const std::vector<std::vector<float>>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    SCOPED_TRACE(i);
    ExpectNear(got[i], expected[i]);
  }
}

// A family with each of its forms.
std::vector<model::Blueprint> FormsOf(model::Family family) {
  std::vector<model::Blueprint> forms = {OddBlueprint(family)};
  forms.push_back(forms[0]);
  forms.back().tie_embeddings = !forms[0].tie_embeddings;
  if (family != model::Family::kGpt2) {
    forms.push_back(forms[0]);
    forms.back().ffn = model::FfnKind::kPlain;
    forms.push_back(forms[0]);
    forms.back().rope_scaling = {model::RopeScalingKind::kLlama3, 8, 1, 4, 64};
    forms.push_back(forms[0]);
    forms.back().rope_scaling = {.kind = model::RopeScalingKind::kLinear, .factor = 4};
  }
  return forms;
}

class AtenFamilyTest : public testing::TestWithParam<model::Family> {};

TEST_P(AtenFamilyTest, LogitsAreThoseOfTheCpuEngine) {
  const Tokens tokens = RandomTokens(200, 1);
  for (const model::Blueprint& blueprint : FormsOf(GetParam())) {
    const model::Checkpoint checkpoint = FormulaCheckpoint(blueprint);
    const auto expected = AllLogits(*MakeCpu(checkpoint), tokens);
    for (const AtenDevice device : Devices()) {
      ExpectAllNear(AllLogits(*MakeAten(checkpoint, device), tokens), expected);
    }
  }
}

TEST_P(AtenFamilyTest, EightBitWeightsAreWidened) {
  const test::TempDir folder;
  for (const model::Blueprint& blueprint : FormsOf(GetParam())) {
    for (const char* name : {"wide", "narrow", "widened"}) {
      std::filesystem::remove_all(folder.path() / name);
    }
    WriteFormulaCheckpoint(folder.path() / "wide", blueprint, 0.5f);
    const model::Checkpoint wide = model::Checkpoint::Open(folder.path() / "wide").value();
    ASSERT_TRUE(model::QuantizeCheckpoint(wide, folder.path() / "narrow").ok());
    const model::Checkpoint narrow = model::Checkpoint::Open(folder.path() / "narrow").value();
    const Tokens tokens = RandomTokens(60, 2);
    ExpectAllNear(
        AllLogits(*MakeAten(narrow, AtenDevice::kCpu), tokens),
        AllLogits(*MakeCpu(WriteWidenedCheckpoint(folder.path() / "widened", narrow)), tokens));
  }
}

// Prompts in chunks beside sequences that decode: what a sequence is told does not depend on it.
TEST_P(AtenFamilyTest, StepsOfManySequencesAndChunks) {
  const model::Checkpoint checkpoint = FormulaCheckpoint(OddBlueprint(GetParam()));
  const auto cpu = MakeCpu(checkpoint);
  struct Running {
    Tokens tokens;
    std::vector<std::vector<float>> expected;
    SequenceId id = 0;
    size_t done = 0;
  };
  std::vector<Running> all(9);
  for (uint32_t i = 0; i < all.size(); ++i) {
    all[i].tokens = RandomTokens(5 + 23 * i, 100 + i);
    all[i].expected = AllLogits(*cpu, all[i].tokens);
  }
  for (const AtenDevice device : Devices()) {
    const auto engine = MakeAten(checkpoint, device);
    std::mt19937 random(3);
    for (Running& one : all) one.id = engine->Open(), one.done = 0;
    Logits logits;
    for (bool any = true; any;) {
      std::vector<SequenceStep> steps;
      std::vector<Running*> parts;
      for (Running& one : all) {
        const size_t left = one.tokens.size() - one.done;
        const size_t count = std::min<size_t>(left, random() % 3 == 0 ? random() % 25 : 1);
        if (count == 0) continue;
        steps.push_back(
            {one.id, std::span(one.tokens).subspan(one.done, count), random() % 4 == 0});
        parts.push_back(&one);
      }
      ASSERT_TRUE(engine->Step(steps, &logits).ok());
      int64_t row = 0;
      for (size_t i = 0; i < steps.size(); ++i) {
        const size_t count = steps[i].tokens.size();
        for (size_t k = steps[i].all_logits ? 0 : count - 1; k < count; ++k, ++row) {
          ExpectNear(RowOf(logits, row), parts[i]->expected[parts[i]->done + k]);
        }
        parts[i]->done += count;
      }
      any = std::any_of(all.begin(), all.end(),
                        [](const Running& one) { return one.done < one.tokens.size(); });
      ASSERT_FALSE(HasFatalFailure());
    }
    for (const Running& one : all) {
      EXPECT_EQ(engine->Length(one.id), static_cast<int64_t>(one.tokens.size()));
    }
  }
}

TEST_P(AtenFamilyTest, HiddenStatesStandBesideLogits) {
  const model::Checkpoint checkpoint = FormulaCheckpoint(OddBlueprint(GetParam()));
  const Tokens tokens = RandomTokens(30, 4);
  const auto run = [&](Engine& engine) {
    Logits logits;
    const SequenceStep steps[] = {{engine.Open(), tokens},
                                  {engine.Open(), tokens, false, true},
                                  {engine.Open(), std::span(tokens).first(3), true}};
    EXPECT_TRUE(engine.Step(steps, &logits).ok());
    return logits;
  };
  const Logits expected = run(*MakeCpu(checkpoint));
  const Logits got = run(*MakeAten(checkpoint, AtenDevice::kCpu));
  EXPECT_EQ(got.hidden_size, 72);
  ExpectNear(got.hidden, expected.hidden);
  for (int64_t row = 0; row < 4; ++row) ExpectNear(got.Row(row), expected.Row(row));
}

// What others of its salt computed is begun with, and what was forgotten leaves no trace.
TEST_P(AtenFamilyTest, PrefixesAreSharedAndTruncated) {
  const model::Checkpoint checkpoint = FormulaCheckpoint(OddBlueprint(GetParam()));
  const Tokens tokens = RandomTokens(75, 5);
  const auto expected = AllLogits(*MakeCpu(checkpoint), tokens);
  const auto engine = MakeAten(checkpoint, AtenDevice::kCpu, 12);
  Logits logits;
  const auto run = [&](SequenceId id, std::span<const int32_t> more) {
    const SequenceStep step{id, more};
    ASSERT_TRUE(engine->Step({&step, 1}, &logits).ok());
  };
  const SequenceId cold = engine->Open("t");
  EXPECT_EQ(engine->Adopt(cold, tokens), 0);
  run(cold, tokens);
  engine->Share(cold, tokens);
  EXPECT_EQ(engine->kv().free_blocks, 12 - 5);

  const SequenceId warm = engine->Open("t");
  EXPECT_EQ(engine->Adopt(warm, tokens), 64);
  EXPECT_EQ(engine->Holding(warm).shared_blocks, 4);
  run(warm, std::span(tokens).subspan(64));
  ExpectNear(logits.Row(0), expected.back());
  const SequenceId stranger = engine->Open("u");
  EXPECT_EQ(engine->Adopt(stranger, tokens), 0);

  // Another end, forgotten again.
  engine->Truncate(warm, 70);
  run(warm, RandomTokens(20, 6));
  engine->Truncate(warm, 70);
  EXPECT_EQ(engine->Length(warm), 70);
  run(warm, std::span(tokens).subspan(70));
  ExpectNear(logits.Row(0), expected.back());

  engine->Close(cold);
  engine->Close(warm);
  EXPECT_EQ(engine->kv().free_blocks, 12);
  EXPECT_EQ(engine->kv().cached_blocks, 4);
  run(stranger, RandomTokens(12 * 16, 7));  // takes all blocks, the cached ones too
  engine->Close(stranger);
  ExpectAllNear(AllLogits(*engine, tokens), expected);
}

INSTANTIATE_TEST_SUITE_P(Families, AtenFamilyTest,
                         testing::Values(model::Family::kQwen3, model::Family::kLlama,
                                         model::Family::kQwen2, model::Family::kGpt2),
                         [](const auto& info) {
                           return std::string(model::FamilyName(info.param));
                         });

// More rows and more positions than one batch of attention takes.
TEST(AtenEngine, AStepOfManyRows) {
  model::Blueprint blueprint = OddBlueprint(model::Family::kQwen3);
  blueprint.num_layers = 1;
  blueprint.context = 4096;
  const model::Checkpoint checkpoint = FormulaCheckpoint(blueprint);
  const auto aten = CreateAtenEngine(checkpoint, {.max_step_tokens = 4096}).value();
  const auto cpu = CreateCpuEngine(checkpoint, {.max_step_tokens = 4096}).value();
  const Tokens tokens = RandomTokens(4095, 8);
  Logits got, expected;
  for (auto [engine, logits] : {std::pair{aten.get(), &got}, {cpu.get(), &expected}}) {
    std::vector<SequenceId> ids(18);
    for (SequenceId& id : ids) id = engine->Open("t");
    const SequenceStep prompt{ids[0], tokens};
    ASSERT_TRUE(engine->Step({&prompt, 1}, logits).ok());
    engine->Share(ids[0], tokens);
    std::vector<SequenceStep> steps;
    for (const SequenceId id : ids) {
      const int64_t held = engine->Adopt(id, tokens);
      ASSERT_GE(held, 4080);
      steps.push_back({id, std::span(tokens).first(1)});
    }
    ASSERT_TRUE(engine->Step(steps, logits).ok());
  }
  for (int64_t row = 0; row < 18; ++row) ExpectNear(got.Row(row), expected.Row(row));
}

TEST(AtenEngine, ExhaustedPoolAndWrongStepsAreStatusesThatChangeNothing) {
  const auto engine =
      MakeAten(FormulaCheckpoint(TinyBlueprint(model::Family::kQwen3)), AtenDevice::kCpu, 3);
  EXPECT_EQ(engine->kv().total_blocks, 3);
  const SequenceId a = engine->Open();
  const SequenceId b = engine->Open();
  ASSERT_TRUE(engine->Reserve(a, 32).ok());
  EXPECT_EQ(engine->Reserve(b, 17).code(), absl::StatusCode::kResourceExhausted);
  Logits logits;
  const auto step = [&](const Tokens& tokens) {
    const SequenceStep one{b, tokens};
    return engine->Step({&one, 1}, &logits);
  };
  EXPECT_EQ(step(RandomTokens(17, 9, 64)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(step(RandomTokens(65, 9, 64)).code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(step({64}).message()), HasSubstr("token id 64"));
  EXPECT_EQ(engine->Length(b), 0);
  EXPECT_EQ(engine->kv().free_blocks, 1);
  engine->Close(a);
  EXPECT_TRUE(step(RandomTokens(17, 9, 64)).ok());
}

// A token whose keys and values are no numbers is its sequence's own misfortune: whoever has the
// block next, or is padded with it, sees nothing of it.
TEST(AtenEngine, WhatABlockHeldBeforeHasNoWeight) {
  constexpr int32_t kPoison = 5;
  model::Blueprint blueprint = TinyBlueprint(model::Family::kGpt2);
  blueprint.tie_embeddings = false;
  const model::Checkpoint formula = FormulaCheckpoint(blueprint);
  std::vector<float> embedding = formula.Tensor("transformer.wte.weight")->ToFloats();
  std::fill_n(embedding.begin() + kPoison * blueprint.hidden_size, blueprint.hidden_size, 3e38f);
  model::CheckpointContents contents{.blueprint = blueprint};
  for (const model::TensorSpec& spec : model::TensorsOf(blueprint)) {
    contents.tensors.push_back({spec.name, *formula.Tensor(spec.name)});
    if (spec.name != "transformer.wte.weight") continue;
    contents.tensors.back().tensor.bytes = {reinterpret_cast<const char*>(embedding.data()),
                                            embedding.size() * sizeof(float)};
  }
  const test::TempDir folder;
  ASSERT_TRUE(model::WriteCheckpoint(folder / "poisoned", contents).ok());
  const model::Checkpoint checkpoint = model::Checkpoint::Open(folder / "poisoned").value();

  const auto engine = MakeAten(checkpoint, AtenDevice::kCpu, 4);
  const Tokens shorter = {1, 2, 3, 4, 6}, longer(20, 7);
  const auto expected_short = AllLogits(*engine, shorter);
  const auto expected_long = AllLogits(*engine, longer);
  ASSERT_TRUE(std::isnan(AllLogits(*engine, Tokens(64, kPoison)).back()[0]));
  ExpectAllNear(AllLogits(*engine, shorter), expected_short);
  // Both end with a step of one row, the shorter padded to the longer.
  const SequenceId a = engine->Open(), b = engine->Open();
  Logits logits;
  for (const size_t from : {0, 1}) {
    const auto part = [from](const Tokens& tokens) {
      const size_t before = tokens.size() - 1;
      return from == 0 ? std::span(tokens).first(before) : std::span(tokens).subspan(before);
    };
    const SequenceStep steps[] = {{a, part(shorter)}, {b, part(longer)}};
    ASSERT_TRUE(engine->Step(steps, &logits).ok());
  }
  ExpectNear(logits.Row(0), expected_short.back());
  ExpectNear(logits.Row(1), expected_long.back());
}

TEST(AtenEngine, SixteenBitsStayClose) {
  const model::Checkpoint checkpoint = FormulaCheckpoint(OddBlueprint(model::Family::kQwen3));
  const Tokens tokens = RandomTokens(50, 10);
  const auto expected = AllLogits(*MakeCpu(checkpoint), tokens);
  const auto engine = MakeAten(checkpoint, AtenDevice::kCpu, 20, AtenDType::kBf16);
  EXPECT_EQ(engine->kv().total_blocks, 20);
  const auto got = AllLogits(*engine, tokens);
  double error = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    for (size_t k = 0; k < got[i].size(); ++k) {
      error += std::pow(got[i][k] - expected[i][k], 2);
      size += std::pow(expected[i][k], 2);
    }
  }
  EXPECT_LT(std::sqrt(error / size), 0.05);
}

TEST(AtenEngine, WeightsThatAreNotNumbersAreNamed) {
  const model::Checkpoint checkpoint = FormulaCheckpoint(TinyBlueprint(model::Family::kQwen3),
                                                         std::numeric_limits<float>::infinity());
  const absl::Status status = CreateAtenEngine(checkpoint, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.embed_tokens.weight"));
}

TEST(AtenEngine, ADeviceThatIsNotThereIsRefused) {
  if (CheckCuda().ok()) GTEST_SKIP() << "this machine has one";
  const model::Checkpoint checkpoint = FormulaCheckpoint(TinyBlueprint(model::Family::kQwen3));
  const absl::Status status = CreateAtenEngine(checkpoint, {.device = AtenDevice::kCuda}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no CUDA device"));
  EXPECT_EQ(CreateAtenEngine(checkpoint, {.max_step_tokens = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace floe::inference
