#include "tokenizer/train_from_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::tokenizer {
namespace {

using testing::HasSubstr;
using Phase = TrainFileProgress::Phase;

class TrainFromFileTest : public testing::Test {
 protected:
  TrainFileOptions OptionsFor(std::string_view corpus) {
    const auto folder = std::filesystem::path(testing::TempDir()) /
                        testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder);
    TrainFileOptions options;
    options.corpus = folder / "corpus.txt";
    EXPECT_TRUE(WriteFileAtomically(options.corpus, corpus).ok());
    options.train.vocab_size = 350;
    return options;
  }
};

TEST_F(TrainFromFileTest, GivesACheckedTokenizerAndItsCompression) {
  TrainFileOptions options = OptionsFor(kCorpus);
  std::vector<Phase> phases;
  options.on_progress = [&](const TrainFileProgress& progress) {
    EXPECT_LE(progress.done, progress.total);
    if (phases.empty() || phases.back() != progress.phase) phases.push_back(progress.phase);
  };
  const TrainedTokenizer trained = TrainTokenizerFromFile(options).value();
  EXPECT_EQ(trained.tokenizer->vocab_size(), 350);
  EXPECT_EQ(trained.documents, 4);
  EXPECT_GT(trained.bytes_per_token(), 1.3);
  EXPECT_THAT(phases, testing::ElementsAre(Phase::kCounting, Phase::kMerging, Phase::kChecking));
}

TEST_F(TrainFromFileTest, ThreadsDoNotChangeTheResult) {
  TrainFileOptions options = OptionsFor(kCorpus);
  const std::string one = TrainTokenizerFromFile(options)->tokenizer->ToJson();
  options.threads = 3;
  EXPECT_EQ(TrainTokenizerFromFile(options)->tokenizer->ToJson(), one);
}

TEST_F(TrainFromFileTest, StopsWhileCountingAndWhileMerging) {
  for (const Phase phase : {Phase::kCounting, Phase::kMerging}) {
    TrainFileOptions options = OptionsFor(kCorpus);
    std::stop_source source;
    options.stop = source.get_token();
    options.on_progress = [&](const TrainFileProgress& progress) {
      if (progress.phase == phase) source.request_stop();
    };
    const auto trained = TrainTokenizerFromFile(options);
    EXPECT_EQ(trained.status().code(), absl::StatusCode::kCancelled);
  }
}

TEST_F(TrainFromFileTest, NamesTheFileThatIsMissingEmptyOrNotText) {
  TrainFileOptions options = OptionsFor("");
  EXPECT_THAT(std::string(TrainTokenizerFromFile(options).status().message()),
              HasSubstr("corpus.txt: the corpus is empty"));
  options = OptionsFor("a\n\xFF\n");
  EXPECT_THAT(std::string(TrainTokenizerFromFile(options).status().message()),
              HasSubstr("corpus.txt: line 2"));
  options.corpus = "/nowhere/corpus.txt";
  EXPECT_EQ(TrainTokenizerFromFile(options).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace floe::tokenizer
