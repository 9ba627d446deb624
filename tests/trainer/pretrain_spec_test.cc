#include "trainer/spec/pretrain_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

#include "trainer/spec/presets.h"

namespace floe::trainer {
namespace {

using testing::HasSubstr;

constexpr char kSpec[] = R"(model: lexicon
dataset: wordnet
tokenizer: wordnet-4k
blueprint:
  hidden_size: 64
  num_layers: 2
  num_heads: 4
  num_kv_heads: 2
  ffn_hidden: 176
  context: 128
train:
  steps: 100
)";

std::string With(const std::string& from, const std::string& to) {
  std::string text = absl::StrReplaceAll(kSpec, {{from, to}});
  EXPECT_NE(text, kSpec) << from;
  return text;
}

std::string RefusalOf(const std::string& text,
                      absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const auto spec = ParsePretrainSpec(text);
  EXPECT_EQ(spec.status().code(), code) << text;
  return std::string(spec.status().message());
}

TEST(PretrainSpecTest, FillsDefaultsIn) {
  const PretrainSpec spec = ParsePretrainSpec(kSpec).value();
  EXPECT_EQ(spec.model, "lexicon");
  EXPECT_EQ(spec.blueprint.family, model::Family::kQwen3);
  EXPECT_EQ(spec.blueprint.head_dim, 16);
  EXPECT_EQ(spec.blueprint.num_kv_heads, 2);
  EXPECT_EQ(spec.blueprint.vocab_size, 0);
  EXPECT_EQ(spec.train.sequence_length, 128);
  EXPECT_EQ(spec.train.schedule, ScheduleKind::kWsd);
  EXPECT_EQ(spec.train.optimizer, OptimizerKind::kMuon);
}

TEST(PretrainSpecTest, ReadsItsOwnJson) {
  PretrainSpec spec = ParsePretrainSpec(kSpec).value();
  spec.train.schedule = ScheduleKind::kCosine;
  spec.train.optimizer = OptimizerKind::kAdamW;
  spec.train.decay_fraction = 0.25;
  spec.train.muon_learning_rate = 0.01;
  spec.train.sample_prompt = "\"Ünï\n";
  spec.train.seed = UINT64_MAX;
  spec.blueprint.family = model::Family::kLlama;
  spec.blueprint.tie_embeddings = false;
  const PretrainSpec again = ParsePretrainSpec(PretrainSpecJson(spec)).value();
  EXPECT_EQ(again.blueprint, spec.blueprint);
  EXPECT_EQ(again.train, spec.train);
  EXPECT_EQ(PretrainSpecJson(again), PretrainSpecJson(spec));
}

TEST(PretrainSpecTest, RopeScalingIsADial) {
  const std::string linear =
      With("context: 128", "context: 128\n  rope_scaling: {rope_type: linear, factor: 4}");
  PretrainSpec spec = ParsePretrainSpec(linear).value();
  EXPECT_EQ(spec.blueprint.rope_scaling,
            (model::RopeScaling{.kind = model::RopeScalingKind::kLinear, .factor = 4}));
  spec.blueprint.rope_scaling = {model::RopeScalingKind::kLlama3, 8, 1, 4, 64};
  EXPECT_EQ(ParsePretrainSpec(PretrainSpecJson(spec)).value().blueprint, spec.blueprint);
  // States saved before the dial was there are of the same run.
  EXPECT_THAT(PretrainSpecJson(ParsePretrainSpec(kSpec).value()),
              testing::Not(HasSubstr("scaling")));
}

TEST(PretrainSpecTest, NamesWhatIsWrongWithRopeScalingAndItsLine) {
  const auto refusal = [](const std::string& scaling) {
    return RefusalOf(With("context: 128", "context: 128\n  rope_scaling: " + scaling));
  };
  EXPECT_THAT(refusal("{rope_type: yarn, factor: 4}"),
              HasSubstr("line 11: rope_scaling.rope_type is \"yarn\": must be default, linear or"));
  EXPECT_THAT(refusal("{rope_type: linear}"), HasSubstr("line 11: rope_scaling.factor is missing"));
  EXPECT_THAT(refusal("{rope_type: linear, factor: 0.5}"),
              HasSubstr("line 11: rope_scaling.factor is 0.5: must be from 1"));
  EXPECT_THAT(refusal("{rope_type: linear, factor: .nan}"), HasSubstr("line 11: "));
  EXPECT_THAT(refusal("{rope_type: linear, factor: 4, low_freq_factor: 1}"),
              HasSubstr("low_freq_factor"));
  EXPECT_THAT(refusal("{rope_type: llama3, factor: 8, low_freq_factor: 4, high_freq_factor: 1,\n"
                      "    original_max_position_embeddings: 256}"),
              testing::AllOf(HasSubstr("high_freq_factor is 1: must be a finite number above"),
                             HasSubstr("original_max_position_embeddings is 256: must be from 1 to "
                                       "the context, 128")));
}

TEST(PretrainSpecTest, SamplesComeWithEachHeldOutLossUnlessTheFileSaysOtherwise) {
  EXPECT_EQ(ParsePretrainSpec(kSpec)->train.sample_interval, std::nullopt);
  for (const int64_t interval : {0, 250}) {
    const PretrainSpec spec =
        ParsePretrainSpec(
            With("  steps: 100", absl::StrCat("  steps: 100\n  sample_interval: ", interval)))
            .value();
    EXPECT_EQ(spec.train.sample_interval, interval);
    EXPECT_EQ(ParsePretrainSpec(PretrainSpecJson(spec))->train, spec.train);
  }
  EXPECT_THAT(RefusalOf(With("  steps: 100", "  steps: 100\n  sample_interval: -1")),
              testing::AllOf(HasSubstr("line 13"), HasSubstr("sample_interval")));
}

TEST(PretrainSpecTest, NamesUnknownRepeatedAndMissingKeysWithTheirLine) {
  EXPECT_THAT(RefusalOf(With("  steps: 100", "  steps: 100\n  stepps: 3")),
              HasSubstr("line 13: unknown key \"stepps\" in train; known are steps, batch_size"));
  EXPECT_THAT(RefusalOf(With("  context: 128", "  context: 128\n  vocab_size: 4096")),
              HasSubstr("line 11: unknown key \"vocab_size\" in blueprint"));
  EXPECT_THAT(RefusalOf(absl::StrCat(kSpec, "job: x\n")),
              HasSubstr("line 13: unknown key \"job\""));
  EXPECT_THAT(RefusalOf(With("  steps: 100", "  steps: 100\n  steps: 200")),
              HasSubstr("line 13: \"steps\" is given twice"));
  EXPECT_THAT(RefusalOf(With("  hidden_size: 64\n", "")),
              HasSubstr("\"hidden_size\" is missing in blueprint"));
  EXPECT_THAT(RefusalOf("model: m\ndataset: d\ntokenizer: t\nblueprint: {}\n"),
              HasSubstr("\"train\" is missing"));
}

TEST(PretrainSpecTest, TakesTheShapeOfAPresetUnlessTheFileSaysOtherwise) {
  const std::string start = "model: m\ndataset: d\ntokenizer: t\npreset: tiny\n";
  const PretrainSpec plain = ParsePretrainSpec(start + "train: {steps: 50}\n").value();
  EXPECT_EQ(plain.blueprint.hidden_size, 128);
  EXPECT_EQ(plain.blueprint.head_dim, 32);
  EXPECT_EQ(plain.blueprint.num_kv_heads, 4);
  EXPECT_EQ(plain.train.sequence_length, 64);
  EXPECT_EQ(plain.train.batch_size, 12);
  // What is queued names every dial, so that a job stays what it was when presets change.
  const PretrainSpec again = ParsePretrainSpec(PretrainSpecJson(plain)).value();
  EXPECT_EQ(again.blueprint, plain.blueprint);
  EXPECT_EQ(again.train, plain.train);

  const PretrainSpec changed =
      ParsePretrainSpec(start + "blueprint: {num_heads: 8}\ntrain: {steps: 50, batch_size: 3}\n")
          .value();
  EXPECT_EQ(changed.blueprint.head_dim, 16);
  EXPECT_EQ(changed.blueprint.num_kv_heads, 8);
  EXPECT_EQ(changed.train.batch_size, 3);
}

TEST(PretrainSpecTest, KnowsOnlyPresetsThatCanBeTrained) {
  for (const Preset& preset : Presets()) {
    const auto spec = ParsePretrainSpec(
        absl::StrCat("{model: m, dataset: d, tokenizer: t, preset: ", std::string(preset.name),
                     ", train: {steps: 100}}"));
    EXPECT_TRUE(spec.ok()) << spec.status();
  }
  EXPECT_EQ(RefusalOf("{model: m, dataset: d, tokenizer: t, preset: huge, train: {steps: 100}}"),
            "line 1: preset is \"huge\"; known are tiny, small, medium, base");
}

TEST(PretrainSpecTest, NamesAllMistakesOfAllPartsAtOnce) {
  const std::string refusal = RefusalOf(
      "model: Lexicon!\n"
      "dataset: [wordnet]\n"
      "blueprint: {hidden_size: 64, num_layers: 0, num_heads: 4, ffn_hidden: 1, context: 8}\n"
      "train:\n"
      "  stepps: 100\n"
      "  learning_rate: -1\n"
      "job: x\n");
  EXPECT_THAT(
      absl::StrSplit(refusal, '\n'),
      testing::ElementsAre(
          HasSubstr("line 1: model is"), HasSubstr("line 2: dataset must be a string"),
          HasSubstr("\"tokenizer\" is missing"), HasSubstr("line 7: unknown key \"job\""),
          HasSubstr("line 3: num_layers is \"0\""), HasSubstr("\"steps\" is missing in train"),
          HasSubstr("line 6: learning_rate"), HasSubstr("line 5: unknown key \"stepps\"")));
}

TEST(PretrainSpecTest, NamesAllThatDoesNotFitTogetherAtOnce) {
  const std::string refusal = RefusalOf(
      "model: m\n"
      "dataset: d\n"
      "tokenizer: t\n"
      "preset: tiny\n"
      "train: {steps: 10, warmup_steps: 11, learning_rate: 0.1, min_learning_rate: 1,\n"
      "        sequence_length: 100000, spike_factor: 0.5, processes: 64, batch_size: 1,\n"
      "        schedule: linear, held_out_fraction: 0, keep_best: true}\n");
  EXPECT_THAT(
      absl::StrSplit(refusal, '\n'),
      testing::ElementsAre(
          HasSubstr("line 7: schedule is"), HasSubstr("line 5: warmup_steps is 11"),
          HasSubstr("line 5: min_learning_rate is 1"), HasSubstr("line 6: spike_factor is 0.5"),
          HasSubstr("line 6: spike_factor without max_rewinds"),
          HasSubstr("line 6: sequence_length is 100000"), HasSubstr("line 7: keep_best goes by"),
          HasSubstr("line 6: processes is 64")));
}

TEST(PretrainSpecTest, WhatAWrongFileNamesCanBeReadNevertheless) {
  PretrainSpec spec;
  EXPECT_FALSE(ReadPretrainSpec("{model: m, dataset: d, tokenizer: '?', colour: red}", spec).ok());
  EXPECT_EQ(spec.dataset, "d");
  EXPECT_EQ(spec.tokenizer, "") << "no reference";
}

TEST(PretrainSpecTest, KeepsTheTextOfManyMistakesShortEnoughForAnRpc) {
  std::string text = kSpec;
  for (int i = 0; i < 500; ++i) absl::StrAppend(&text, "key", i, ": 1\n");
  const std::string refusal = RefusalOf(text);
  EXPECT_LT(refusal.size(), 6000);
  EXPECT_THAT(refusal, testing::EndsWith("\nand more: mend these first"));
}

TEST(PretrainSpecTest, NamesWrongTypesAndRangesWithTheirLine) {
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: many")),
              HasSubstr("line 12: steps is \"many\"; it must be a whole number"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 1.5")), HasSubstr("line 12: steps"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 0")), HasSubstr("between 1 and"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: [1]")), HasSubstr("line 12: steps must be"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 9\n  learning_rate: nan")),
              HasSubstr("line 13: learning_rate"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 9\n  beta2: 1")), HasSubstr("below 1"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 9\n  optimizer: lion")),
              HasSubstr("known are adamw, muon"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 9\n  schedule: linear")),
              HasSubstr("known are cosine, wsd"));
  EXPECT_THAT(RefusalOf(With("context: 128", "context: 128\n  tie_embeddings: perhaps")),
              HasSubstr("line 11: tie_embeddings"));
  EXPECT_THAT(RefusalOf(With("train:\n  steps: 100", "train: fast")),
              HasSubstr("line 11: train must be a map"));
  EXPECT_THAT(RefusalOf(With("model: lexicon", "model: Bad Name")), HasSubstr("line 1: model"));
  EXPECT_THAT(RefusalOf(With("dataset: wordnet", "dataset: d@sha256:12")),
              HasSubstr("line 2: dataset"));
}

TEST(PretrainSpecTest, NamesDialsThatDoNotDivide) {
  EXPECT_THAT(RefusalOf(With("num_heads: 4", "num_heads: 5")),
              HasSubstr("line 7: num_heads is 5, which does not divide hidden_size 64"));
  EXPECT_THAT(RefusalOf(With("num_kv_heads: 2", "num_kv_heads: 3")),
              HasSubstr("line 8: num_kv_heads is 3, which does not divide num_heads 4"));
  EXPECT_THAT(RefusalOf(With("ffn_hidden: 176", "ffn_hidden: 176\n  head_dim: 15")),
              HasSubstr("line 10: head_dim is 15; it must be even"));
}

TEST(PretrainSpecTest, NamesSettingsThatContradict) {
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 100\n  sequence_length: 256")),
              HasSubstr("line 13: sequence_length is 256, more than the context 128"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 10\n  warmup_steps: 11")),
              HasSubstr("line 13: warmup_steps"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 100\n  min_learning_rate: 0.1")),
              HasSubstr("line 13: min_learning_rate"));
}

TEST(PretrainSpecTest, WhatARunKeepsAndHowItGoesBack) {
  const auto plain = ParsePretrainSpec(kSpec);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(PretrainSpecJson(*plain).find("rewinds"), std::string::npos)
      << "a run from before the key has the same identity";
  const auto spec =
      ParsePretrainSpec(With("steps: 100",
                             "steps: 100\n  keep_last: 3\n  keep_every: 50\n  keep_best: true\n"
                             "  early_stopping: 4\n  max_rewinds: 5\n  spike_factor: 1.5"));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->train.keep_last, 3);
  EXPECT_EQ(spec->train.keep_every, 50);
  EXPECT_TRUE(spec->train.keep_best);
  EXPECT_EQ(spec->train.early_stopping, 4);
  EXPECT_EQ(spec->train.max_rewinds, 5);
  EXPECT_EQ(spec->train.spike_factor, 1.5);
  EXPECT_EQ(ParsePretrainSpec(PretrainSpecJson(*spec))->train, spec->train);
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 100\n  keep_last: 1")),
              HasSubstr("line 13: keep_last"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 100\n  max_rewinds: 1\n  spike_factor: 1")),
              HasSubstr("line 14: spike_factor is 1; a spike is above the recent mean"));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 100\n  spike_factor: 2")),
              HasSubstr("line 13: spike_factor without max_rewinds"));
  for (const std::string key : {"keep_best: true", "early_stopping: 3"}) {
    EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 100\n  held_out_fraction: 0\n  " + key)),
                HasSubstr("goes by the held-out loss, and held_out_fraction is 0"));
  }
}

TEST(PretrainSpecTest, HowPassesAreComputed) {
  const PretrainSpec plain = ParsePretrainSpec(kSpec).value();
  EXPECT_THAT(PretrainSpecJson(plain),
              testing::Not(testing::AnyOf(HasSubstr("precision"), HasSubstr("device"))))
      << "runs from before the key was there would no longer be taken up";
  const PretrainSpec spec =
      ParsePretrainSpec(With("steps: 100",
                             "steps: 100\n  document_mask: true\n"
                             "  activation_checkpointing: true\n  precision: bf16\n"
                             "  device: cuda"))
          .value();
  EXPECT_TRUE(spec.train.document_mask);
  EXPECT_TRUE(spec.train.activation_checkpointing);
  EXPECT_EQ(spec.train.precision, PrecisionKind::kBf16);
  EXPECT_EQ(spec.train.device, DeviceKind::kCuda);
  EXPECT_EQ(ParsePretrainSpec(PretrainSpecJson(spec))->train, spec.train);
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 100\n  precision: fp8")),
              testing::AllOf(HasSubstr("line 13"), HasSubstr("known are f32, bf16")));
  EXPECT_THAT(RefusalOf(With("steps: 100", "steps: 100\n  device: tpu")),
              testing::AllOf(HasSubstr("line 13"), HasSubstr("known are cpu, cuda")));
}

TEST(PretrainSpecTest, FamiliesAndTheirFeedForwardLayers) {
  const auto gpt2 = ParsePretrainSpec(With("  num_kv_heads: 2", "  family: gpt2"));
  ASSERT_TRUE(gpt2.ok()) << gpt2.status();
  EXPECT_EQ(gpt2->blueprint.ffn, model::FfnKind::kPlain);
  EXPECT_EQ(gpt2->blueprint.norm_eps, 1e-5);
  EXPECT_EQ(ParsePretrainSpec(PretrainSpecJson(*gpt2))->blueprint, gpt2->blueprint);
  const auto plain =
      ParsePretrainSpec(With("  hidden_size: 64", "  hidden_size: 64\n  ffn: plain"));
  EXPECT_EQ(plain->blueprint.ffn, model::FfnKind::kPlain);
  EXPECT_EQ(ParsePretrainSpec(PretrainSpecJson(*plain))->blueprint, plain->blueprint);
  EXPECT_THAT(
      RefusalOf(With("  hidden_size: 64", "  hidden_size: 64\n  family: gpt2\n  ffn: gated")),
      HasSubstr("line 7: ffn is gated"));
  EXPECT_THAT(RefusalOf(With("  hidden_size: 64", "  hidden_size: 64\n  ffn: moe")),
              HasSubstr("line 6: ffn is \"moe\""));
  EXPECT_THAT(RefusalOf(With("  hidden_size: 64", "  hidden_size: 64\n  family: mamba")),
              HasSubstr("line 6: "));
}

TEST(PretrainSpecTest, RefusesWhatIsNoMap) {
  for (const std::string text : {"", "x", "[1, 2]", "{", "a: b: c", "\t- x", "\xFF\xFE"}) {
    EXPECT_FALSE(ParsePretrainSpec(text).ok()) << text;
  }
  EXPECT_THAT(RefusalOf(std::string(100'000, '[')), HasSubstr("limit"));
}

}  // namespace
}  // namespace floe::trainer
