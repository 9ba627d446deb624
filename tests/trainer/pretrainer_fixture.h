// A small model on a small text, as the tests of pre-training need it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/clock.h"
#include "base/files.h"
#include "model/checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/support/training_text.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "tests/trainer/recorder.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/pretrainer.h"
#include "trainer/tokenize_corpus.h"

namespace floe::trainer {

class PretrainerTest : public testing::Test {
 protected:
  void SetUp() override { Learn(""); }

  // Sentences that are alike, and `strange` behind them.
  void Learn(const std::string& strange) {
    TokenizeOptions tokens;
    tokens.corpus = folder_.Write("corpus.txt", test::AlikeText() + strange);
    tokens.folder = folder_ / (strange.empty() ? "tokens" : "strange");
    tokens.held_out_fraction = 0.1;
    const TokenizedCorpus corpus_tokens = TokenizeCorpus(*tokenizer_, tokens).value();
    options_.blueprint = TinyBlueprint();
    options_.train_tokens = corpus_tokens.train;
    options_.held_out_tokens = corpus_tokens.held_out;
    options_.data = "numbers";
    options_.threads = 1;  // other tests want the other cores
    TrainSettings& settings = options_.settings;
    settings.steps = 20;
    settings.batch_size = 4;
    settings.sequence_length = 32;
    settings.gradient_accumulation = 2;
    settings.learning_rate = 0.01;
    settings.warmup_steps = 3;
    settings.eval_interval = 1;
    settings.sample_interval = 0;
    settings.checkpoint_interval = 5;
    settings.held_out_fraction = 0.1;
    settings.sample_prompt = "Number 7";
  }

  // Held-out losses that fall at first and then do not.
  void LearnTooFast() {
    options_.settings.steps = 200;
    options_.settings.warmup_steps = 0;
    options_.settings.learning_rate = 0.3;
    options_.settings.min_learning_rate = 0.3;
    options_.settings.early_stopping = 3;
  }
  // Among many windows a few that are like nothing before.
  void MeetStrangeText() {
    Learn(test::StrangeText());
    TrainSettings& settings = options_.settings;
    settings.batch_size = 1;
    settings.gradient_accumulation = 1;
    settings.steps = 130;
    settings.eval_interval = 50;
    settings.checkpoint_interval = 10;
    settings.max_rewinds = 20;
    settings.spike_factor = 2;
  }

  std::unique_ptr<Pretrainer> Make(const std::string& name) {
    PretrainOptions options = options_;
    options.state_folder = folder_ / name / "states";
    auto made = Pretrainer::Create(options, *tokenizer_, clock_);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  // The bytes of the exported weights.
  std::string Export(const Pretrainer& pretrainer, const std::string& name) {
    const auto to = folder_ / name / "checkpoint";
    const auto digest = pretrainer.Export(to, {.dataset = std::string(64, 'a')},
                                          {{"tokenizer.json", tokenizer_->ToJson()}});
    EXPECT_TRUE(digest.ok()) << digest.status();
    EXPECT_EQ(model::Checkpoint::Open(to).value().digest(), *digest);
    return *digest + ReadFile(to / "model.safetensors").value();
  }
  // Runs until `step` is done, then asks to stop.
  absl::Status RunUntil(int64_t step, const std::string& name, Recorder& recorder) {
    std::stop_source stop;
    recorder.on_progress = [&, step](const TrainProgress& progress) {
      if (progress.step == step) stop.request_stop();
    };
    return Make(name)->Run(recorder, stop.get_token()).status();
  }

  const test::TempDir folder_;
  const std::unique_ptr<const tokenizer::Tokenizer> tokenizer_ = tokenizer::SampleTokenizer();
  const SystemClock clock_;
  PretrainOptions options_;
};

}  // namespace floe::trainer
