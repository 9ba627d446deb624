#include "trainer/inspection/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>

#include "nlohmann/json.hpp"

#include "tests/trainer/tiny_model.h"
#include "tokenizer/trainer.h"
#include "trainer/inspection/internal/look.h"
#include "trainer/internal/train_step.h"

namespace floe::trainer {
namespace {

using testing::HasSubstr;

constexpr std::string_view kText =
    "The river carries ice. The river carries boats.\n\nThe boats carry salt and the ice melts.\n\n"
    "Where the river ends the salt begins, and boats go home before the ice comes again.\n";

class InspectTest : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    auto trainer = tokenizer::Trainer::Create({.vocab_size = 300}).value();
    trainer.AddCounted(kText, 3);
    tokenizer_ = tokenizer::Tokenizer::Create(trainer.Train().value()).value();
    ids_ = InspectedIds(*tokenizer_, kText, tokenizer::TextFormat::kText, 4096).value();
  }
  InspectionText Text() const { return {ids_, *tokenizer_, 1}; }
  static model::Blueprint Dials() {
    model::Blueprint dials = TinyBlueprint();
    dials.vocab_size = 300;
    dials.context = 16;
    return dials;
  }

  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::vector<int64_t> ids_;
};

// Heads [1, 1, T, T] whose query at t points at the key that `target(t)` names.
Heads PointingHeads(int64_t length, const std::function<int64_t(int64_t)>& target) {
  Heads heads;
  heads.k = at::eye(length).reshape({1, 1, length, length});
  heads.q = at::zeros({1, 1, length, length});
  for (int64_t t = 0; t < length; ++t) {
    heads.q[0][0][t][target(t)] = 100.0 * std::sqrt(static_cast<double>(length));
  }
  heads.v = heads.k;
  return heads;
}

TEST_F(InspectTest, APatternIsWhatAttentionComputes) {
  at::manual_seed(3);
  const Heads heads{at::randn({2, 4, 6, 8}), at::randn({2, 2, 6, 8}), at::randn({2, 2, 6, 8})};
  const at::Tensor pattern = AttentionPattern(heads);
  const at::Tensor values = heads.v.repeat_interleave(2, 1);
  const at::Tensor expected =
      at::matmul(pattern, values).transpose(1, 2).reshape({12, 32});  // [B * T, H * head_dim]
  EXPECT_LT((CausalAttention(heads) - expected).abs().max().item<float>(), 1e-5);
}

TEST_F(InspectTest, AHeadThatLooksOneBackHasThePreviousTokenScoreOne) {
  const Heads heads = PointingHeads(8, [](int64_t t) { return std::max<int64_t>(t - 1, 0); });
  const at::Tensor pattern = AttentionPattern(heads);
  EXPECT_NEAR(MeanAttentionBack(pattern, 1, 1)[0].item<double>(), 1, 1e-6);
  EXPECT_NEAR(MeanAttentionBack(pattern, 2, 2)[0].item<double>(), 0, 1e-6);
}

TEST_F(InspectTest, AHeadThatCopiesHasTheInductionScoreOneOnTheSecondHalfOnly) {
  const int64_t half = 5;
  const Heads heads =
      PointingHeads(2 * half, [&](int64_t t) { return t < half ? 0 : t - (half - 1); });
  const at::Tensor pattern = AttentionPattern(heads);
  EXPECT_NEAR(MeanAttentionBack(pattern, half - 1, half)[0].item<double>(), 1, 1e-6);
}

TEST_F(InspectTest, TheLastReadOutIsTheLoss) {
  const model::Blueprint dials = Dials();
  const Transformer transformer = Transformer::Create(dials, 7).value();
  const Inspection seen = Look(transformer, Text(), {}).value();
  const int64_t windows = (static_cast<int64_t>(ids_.size()) - 1) / dials.context;
  double loss = 0;
  for (int64_t i = 0; i < windows; ++i) {
    const auto begin = ids_.begin() + i * dials.context, end = begin + dials.context;
    const MicroBatch batch = MakeMicroBatch({begin, end}, {begin + 1, end + 1}, dials.context);
    loss += LinearCrossEntropy(transformer.Hidden(batch.ids), transformer.head(), batch.targets, 1)
                .item<double>();
  }
  loss /= static_cast<double>(windows * dials.context);
  EXPECT_NEAR(seen.loss, loss, 1e-5);
  EXPECT_NEAR(seen.layers.back().read_out_loss, loss, 1e-5);
  EXPECT_GT(std::abs(seen.embedding_read_out_loss - loss), 1e-3);
}

TEST_F(InspectTest, WhatLayersAddIsTheirOutput) {
  for (const model::Family family :
       {model::Family::kQwen3, model::Family::kLlama, model::Family::kQwen2}) {
    model::Blueprint dials = TinyBlueprint(family);
    const Transformer transformer = Transformer::Create(dials, 7).value();
    const at::Tensor ids = at::arange(12).reshape({2, 6});
    Trace trace;
    const at::Tensor hidden = transformer.Hidden(ids, &trace);
    ASSERT_EQ(static_cast<int64_t>(trace.layers.size()), dials.num_layers);
    at::Tensor stream = trace.embedded;
    for (const LayerTrace& layer : trace.layers) {
      stream = stream + layer.attention + layer.ffn;
      EXPECT_LT((stream - layer.output).abs().max().item<float>(), 1e-5);
    }
    EXPECT_TRUE(at::equal(hidden, transformer.FinalNorm(trace.layers.back().output)));
    EXPECT_TRUE(at::equal(hidden, transformer.Hidden(ids)));
  }
}

TEST_F(InspectTest, FreshWeightsHaveNoRolesYet) {
  const Inspection seen = InspectFresh(Dials(), 1, Text(), {}).value();
  // Even attention to what is there gives the token before 1/2, 1/3, ... 1/16: 0.16 on average.
  const double even = [] {
    double sum = 0;
    for (int t = 1; t < 16; ++t) sum += 1.0 / (t + 1);
    return sum / 15;
  }();
  for (const LayerRoles& layer : seen.layers) {
    EXPECT_GT(layer.attention_rms, 0);
    EXPECT_GT(layer.residual_rms, layer.attention_rms);
    for (const HeadRoles& head : layer.heads) {
      EXPECT_NEAR(head.previous_token, even, 0.05);
      EXPECT_LT(head.induction, 0.2);
    }
  }
  EXPECT_NEAR(seen.loss, std::log(300.0), 0.1);
}

TEST_F(InspectTest, NeighboursAreThoseThatPointTheSameWay) {
  const Transformer transformer = Transformer::Create(Dials(), 1).value();
  const Inspection fresh = Look(transformer, Text(), {}).value();
  ASSERT_GE(fresh.neighbours.size(), 2u);
  for (const Neighbours& one : fresh.neighbours) EXPECT_LT(one.nearest[0].second, 0.9);

  const auto river = tokenizer_->Encode(fresh.neighbours[0].token);
  ASSERT_EQ(river.size(), 1u);
  const int64_t twin = 40;  // any other token
  {
    const at::NoGradGuard no_gradients;
    at::Tensor table = transformer.embedding();
    table[twin].copy_(table[river[0]] * 3);
  }
  const Inspection seen = Look(transformer, Text(), {}).value();
  EXPECT_EQ(seen.neighbours[0].nearest[0].first, *tokenizer_->TokenBytes(twin));
  EXPECT_NEAR(seen.neighbours[0].nearest[0].second, 1, 1e-5);
}

TEST_F(InspectTest, RefusesTextOfAnotherVocabularyAndTextTooShort) {
  model::Blueprint dials = Dials();
  dials.vocab_size = 64;
  EXPECT_THAT(InspectFresh(dials, 1, Text(), {}).status().message(),
              HasSubstr("the model's vocab_size is 64"));
  EXPECT_THAT(
      InspectedIds(*tokenizer_, "Ice.", tokenizer::TextFormat::kText, 100).status().message(),
      HasSubstr("inspection needs 16"));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(InspectFresh(Dials(), 1, Text(), stop.get_token()).status()));
}

TEST_F(InspectTest, TheReportIsJsonWhateverBytesTokensHave) {
  InspectionReport report;
  report.before = InspectFresh(Dials(), 1, Text(), {}).value();
  report.before.neighbours.push_back({std::string(1, '\xff'), {}});
  const auto json = nlohmann::json::parse(InspectionJson(report));
  EXPECT_EQ(json["before"]["layers"].size(), 2u);
  EXPECT_EQ(json["before"]["layers"][1]["heads"].size(), 4u);
  EXPECT_EQ(json["before"]["loss"], report.before.loss);
  const InspectionReport back = ParseInspectionJson(InspectionJson(report)).value();
  EXPECT_EQ(InspectionJson(back), InspectionJson(report));
  EXPECT_TRUE(absl::IsDataLoss(ParseInspectionJson("{\"text_tokens\": 3}").status()));
  EXPECT_TRUE(absl::IsDataLoss(ParseInspectionJson("[1,").status()));
  auto changed = nlohmann::json::parse(InspectionJson(report));
  for (const nlohmann::json& no_count : {nlohmann::json(1e300), nlohmann::json(-1),
                                         nlohmann::json(UINT64_MAX), nlohmann::json(true)}) {
    changed["text_tokens"] = no_count;
    EXPECT_TRUE(absl::IsDataLoss(ParseInspectionJson(changed.dump()).status())) << no_count;
  }
}

}  // namespace
}  // namespace floe::trainer
