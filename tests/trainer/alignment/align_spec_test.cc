#include "trainer/alignment/spec/align_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"

#include "trainer/alignment/spec/evaluate_spec.h"
#include "trainer/alignment/spec/inspect_spec.h"

namespace floe::trainer {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kDpo[] = R"(kind: dpo
model: lexicon
base: lexicon@latest
dataset: preferences
held_out: preferences-held-out
loss: {kind: robust, beta: 0.2, label_smoothing: 0.1}
train: {steps: 40, batch_size: 4, learning_rate: 0.0001}
)";

std::string Mistake(AlignKind kind, const std::string& text) {
  const auto spec = ParseAlignSpec(kind, text);
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(spec.status().message());
}

std::string With(const std::string& from, const std::string& to) {
  return absl::StrReplaceAll(kDpo, {{from, to}});
}

TEST(AlignSpecTest, ReadsAndComesBackFromItsJson) {
  const auto spec = ParseAlignSpec(AlignKind::kDpo, kDpo);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->base, "lexicon@latest");
  EXPECT_EQ(spec->loss.kind, PreferenceLossKind::kRobust);
  EXPECT_EQ(spec->loss.beta, 0.2);
  EXPECT_EQ(spec->train.steps, 40);
  EXPECT_EQ(spec->train.weight_decay, 0);
  EXPECT_DOUBLE_EQ(spec->train.min_learning_rate, 0.00001);
  const std::string json = AlignSpecJson(AlignKind::kDpo, *spec);
  const auto again = ParseAlignSpec(AlignKind::kDpo, json);
  ASSERT_TRUE(again.ok()) << again.status() << json;
  EXPECT_EQ(again->train, spec->train);
  EXPECT_EQ(again->loss, spec->loss);
  EXPECT_EQ(AlignSpecJson(AlignKind::kDpo, *again), json);
}

TEST(AlignSpecTest, SftHasNoLoss) {
  EXPECT_THAT(Mistake(AlignKind::kSft, With("kind: dpo\n", "")),
              AllOf(HasSubstr("line 5"), HasSubstr("unknown key \"loss\"")));
  EXPECT_THAT(
      Mistake(AlignKind::kSft, With("loss: {kind: robust, beta: 0.2, label_smoothing: 0.1}\n", "")),
      AllOf(HasSubstr("line 1"), HasSubstr("kind is \"dpo\"")));
}

TEST(AlignSpecTest, MistakesAreNamedWithTheirLine) {
  const auto dpo = [](const std::string& from, const std::string& to) {
    return Mistake(AlignKind::kDpo, With(from, to));
  };
  EXPECT_THAT(dpo("base: lexicon@latest\n", ""), HasSubstr("\"base\" is missing"));
  EXPECT_THAT(dpo("lexicon@latest", "lexicon@"), AllOf(HasSubstr("line 3"), HasSubstr("base is")));
  EXPECT_THAT(dpo("lexicon@latest", "sha256:12"), HasSubstr("line 3"));
  EXPECT_THAT(dpo("kind: robust", "kind: hinge"),
              AllOf(HasSubstr("line 6"), HasSubstr("sigmoid, robust, ipo")));
  EXPECT_THAT(dpo("kind: robust", "kind: sigmoid"),
              AllOf(HasSubstr("line 6"), HasSubstr("label_smoothing")));
  EXPECT_THAT(dpo("beta: 0.2", "beta: 0"), AllOf(HasSubstr("line 6"), HasSubstr("beta")));
  EXPECT_THAT(dpo("steps: 40", "epochs: 2"), AllOf(HasSubstr("line 7"), HasSubstr("epochs")));
  EXPECT_THAT(dpo("train:", "too_long: cut\ntrain:"),
              AllOf(HasSubstr("line 7"), HasSubstr("refuse, skip")));
  EXPECT_THAT(dpo("dataset: preferences", "dataset: Prefs"), HasSubstr("line 4"));
}

TEST(AlignSpecTest, EvaluateListsModelsAndDatasets) {
  const auto spec = ParseEvaluateSpec(
      "kind: evaluate\nmodels: [lexicon@production, lexicon@3]\ndatasets: [held-out]\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(spec->models, ElementsAre("lexicon@production", "lexicon@3"));
  EXPECT_EQ(*ParseEvaluateSpec(EvaluateSpecJson(*spec)), *spec);
  const auto mistake = [](const std::string& text) {
    const auto bad = ParseEvaluateSpec(text);
    EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(bad.status().message());
  };
  EXPECT_THAT(mistake("models: [a]\n"), HasSubstr("\"datasets\" is missing"));
  EXPECT_THAT(mistake("models: a\ndatasets: [b]\n"), HasSubstr("models must be a list"));
  EXPECT_THAT(mistake("models: [a, a]\ndatasets: [b]\n"), HasSubstr("stands twice"));
  EXPECT_THAT(mistake("models: [a@b@c]\ndatasets: [b]\n"), HasSubstr("models has"));
  EXPECT_THAT(mistake("models: [a]\ndatasets: [b]\nbatch_size: 0\n"), HasSubstr("line 3"));
}

TEST(AlignSpecTest, InspectNamesAVersionAndAText) {
  const auto spec = ParseInspectSpec("model: lexicon@3\nagainst: lexicon@1\ndataset: wordnet\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(*spec, (InspectSpec{"lexicon@3", "lexicon@1", "wordnet", 4096, 1}));
  EXPECT_EQ(*ParseInspectSpec(InspectSpecJson(*spec)), *spec);
  const auto fresh = ParseInspectSpec("kind: inspect\nmodel: lexicon@3\ndataset: wordnet\n");
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_EQ(*ParseInspectSpec(InspectSpecJson(*fresh)), *fresh);
  const auto mistake = [](const std::string& text) {
    const auto bad = ParseInspectSpec(text);
    EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(bad.status().message());
  };
  EXPECT_THAT(mistake("model: lexicon@3\n"), HasSubstr("\"dataset\" is missing"));
  EXPECT_THAT(mistake("model: a@b@c\ndataset: d\n"), HasSubstr("line 1: model is"));
  EXPECT_THAT(mistake("model: a\nagainst: ''\ndataset: d\ntokens: 3\n"), HasSubstr("line 4"));
  EXPECT_THAT(mistake("model: a\ndataset: d\nheads: 3\n"), HasSubstr("heads"));
}

}  // namespace
}  // namespace floe::trainer
