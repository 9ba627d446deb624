#include "tokenizer/train_from_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

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

// Such a document comes in parts; an escaped one too.
TEST_F(TrainFromFileTest, ALongDocumentIsLearnedAsOne) {
  std::mt19937 random(9);
  std::string document = "x";
  while (document.size() < size_t{3} << 20) {
    document += std::string(random() % 3, ' ') + std::string(1 + random() % 5, 'a' + random() % 20);
  }
  document += "x";
  TrainFileOptions options = OptionsFor(document);
  options.train.special_tokens = {};
  options.threads = 2;
  Trainer whole = Trainer::Create(options.train).value();
  whole.Add(document);
  const Vocabulary expected = whole.Train().value();
  for (const TextFormat format : {TextFormat::kText, TextFormat::kJsonl}) {
    if (format == TextFormat::kJsonl) {
      ASSERT_TRUE(WriteFileAtomically(options.corpus, "{\"text\": \"" + document + "\"}\n").ok());
    }
    options.format = format;
    const auto trained = TrainTokenizerFromFile(options);
    ASSERT_TRUE(trained.ok()) << trained.status();
    EXPECT_EQ(trained->documents, 1);
    EXPECT_EQ(trained->bytes, static_cast<int64_t>(document.size()));
    EXPECT_EQ(trained->tokenizer->vocabulary().tokens, expected.tokens);
    EXPECT_EQ(trained->tokens, static_cast<int64_t>(trained->tokenizer->Encode(document).size()));
  }
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
