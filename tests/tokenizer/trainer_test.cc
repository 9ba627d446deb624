#include "tokenizer/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tokenizer/sample_tokenizer.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/tokenizer_json.h"

namespace floe::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Trainer MakeTrainer(int vocab_size, std::vector<std::string> specials = {}) {
  TrainOptions options;
  options.vocab_size = vocab_size;
  options.special_tokens = std::move(specials);
  return Trainer::Create(options).value();
}

std::vector<std::pair<TokenId, TokenId>> Pairs(const Vocabulary& vocabulary) {
  std::vector<std::pair<TokenId, TokenId>> pairs;
  for (const Merge& merge : vocabulary.merges) pairs.emplace_back(merge.left, merge.right);
  return pairs;
}

// minbpe's example (its byte ids are plain, ours follow the alphabet).
TEST(TrainerTest, LearnsTheTextbookExample) {
  Trainer trainer = MakeTrainer(259);
  trainer.Add("aaabdaaabac");
  const auto tokenizer = Tokenizer::Create(trainer.Train().value()).value();
  const TokenId a = RankOfByte('a'), c = RankOfByte('c'), d = RankOfByte('d');
  EXPECT_THAT(tokenizer->Encode("aaabdaaabac"), ElementsAre(258, d, 258, a, c));
}

TEST(TrainerTest, LearnsTheMergesOfHuggingFacesTrainer) {
  const auto expect = [](Pattern pattern, std::span<const TokenId[2]> golden) {
    std::vector<std::pair<TokenId, TokenId>> pairs;
    for (const auto& merge : golden) pairs.emplace_back(merge[0], merge[1]);
    EXPECT_EQ(Pairs(TrainSample(pattern)), pairs) << PatternName(pattern);
  };
  expect(Pattern::kGpt2, kGpt2Merges);
  expect(Pattern::kCl100k, kCl100kMerges);
  expect(Pattern::kQwen2, kQwen2Merges);
}

TEST(TrainerTest, TiesGoToTheSmallerPair) {
  Trainer trainer = MakeTrainer(257);
  trainer.Add("zy");
  trainer.Add("ab");
  const Vocabulary vocabulary = trainer.Train().value();
  EXPECT_EQ(vocabulary.tokens[256], "ab");
}

TEST(TrainerTest, OrderOfDocumentsAndThreadsDoNotMatter) {
  std::vector<std::string_view> documents;
  for (std::string_view rest = kCorpus; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    documents.push_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  Trainer forward = MakeTrainer(360);
  for (const std::string_view document : documents) forward.Add(document);
  std::reverse(documents.begin(), documents.end());
  Trainer threaded = MakeTrainer(360);
  ASSERT_TRUE(threaded.AddAll(documents, 4).ok());
  EXPECT_EQ(forward.bytes(), threaded.bytes());
  EXPECT_EQ(WriteTokenizerJson(*forward.Train()), WriteTokenizerJson(*threaded.Train()));
}

TEST(TrainerTest, CountsPastThirtyTwoBits) {
  Trainer trainer = MakeTrainer(257);
  trainer.AddCounted("xy", int64_t{5'000'000'000});  // 705,032,704 when cut to 32 bits
  trainer.AddCounted("ab", int64_t{4'999'999'999});
  trainer.AddCounted("cd", int64_t{2'000'000'000});
  EXPECT_EQ(trainer.Train()->tokens[256], "xy");
  EXPECT_EQ(trainer.bytes(), int64_t{23'999'999'998});
}

TEST(TrainerTest, SpecialTokensTakeTheLastIds) {
  const Vocabulary vocabulary = TrainSample();
  EXPECT_EQ(vocabulary.tokens.size(), 400u);
  ASSERT_EQ(vocabulary.added.size(), 3u);
  EXPECT_EQ(vocabulary.added[0].content, "<|endoftext|>");
  EXPECT_EQ(vocabulary.added[0].id, 400);
  EXPECT_EQ(vocabulary.added[2].id, 402);
  EXPECT_EQ(Tokenizer::Create(vocabulary).value()->vocab_size(), 403);
}

TEST(TrainerTest, SaysHowFarATooSmallCorpusGoes) {
  Trainer trainer = MakeTrainer(300);
  trainer.Add("abab");
  const absl::Status status = trainer.Train().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("runs out of pairs at 258 tokens"));
  EXPECT_EQ(MakeTrainer(300).Train().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(TrainerTest, RarePairsStayApart) {
  TrainOptions options;
  options.vocab_size = 257;
  options.special_tokens = {};
  options.min_frequency = 3;
  Trainer trainer = Trainer::Create(options).value();
  trainer.AddCounted("ab", 2);
  EXPECT_FALSE(trainer.Train().ok());
  trainer.AddCounted("ab", 1);
  EXPECT_TRUE(trainer.Train().ok());
}

TEST(TrainerTest, StopsWhenAskedTo) {
  std::stop_source source;
  TrainOptions options;
  options.vocab_size = 400;
  options.stop = source.get_token();
  int reports = 0;
  options.on_progress = [&](const TrainProgress& progress) {
    ++reports;
    EXPECT_EQ(progress.merges_total, 141);
    source.request_stop();
  };
  Trainer trainer = Trainer::Create(options).value();
  trainer.Add(kCorpus);
  EXPECT_EQ(trainer.Train().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(reports, 1);
}

TEST(TrainerTest, RefusesMoreDifferentPiecesThanMemoryHolds) {
  TrainOptions options;
  options.vocab_size = 300;
  options.max_memory_bytes = 1 << 20;
  Trainer trainer = Trainer::Create(options).value();
  const std::string same = "again and again and again";
  std::vector<std::string_view> repeated(20000, same);
  EXPECT_TRUE(trainer.AddAll(repeated, 2).ok());  // much text, few pieces
  std::string numbered;
  for (int i = 0; i < 20000; ++i)
    numbered += " x" + std::string(1 + i % 7, 'a' + i % 26) + "y" + std::string(1 + i / 182, 'b');
  const std::string_view views[] = {numbered, same};
  for (const int threads : {1, 2}) {
    Trainer other = Trainer::Create(options).value();
    const absl::Status full = other.AddAll(views, threads);
    EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(full.message()), HasSubstr("max_memory_mb is 1:"));
    EXPECT_EQ(other.Train().status().code(), absl::StatusCode::kResourceExhausted);
  }
}

TEST(TrainerTest, RefusesOptionsThatCannotWork) {
  const auto message = [](int vocab_size, std::vector<std::string> specials) {
    TrainOptions options;
    options.vocab_size = vocab_size;
    options.special_tokens = std::move(specials);
    const absl::Status status = Trainer::Create(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message(256, {"<a>"}), HasSubstr("at least 257"));
  EXPECT_THAT(message(kMaxVocabSize + 1, {}), HasSubstr("at most"));
  EXPECT_THAT(message(-1, {}), HasSubstr("vocab_size is -1"));
  EXPECT_THAT(message(300, {"<a>", "<a>"}), HasSubstr("twice"));
  EXPECT_THAT(message(300, {""}), HasSubstr("not empty"));
  EXPECT_THAT(message(300, {"\xFF"}), HasSubstr("UTF-8"));
}

TEST(TrainerTest, LongRunsOfOneLetterTrainWell) {
  Trainer trainer = MakeTrainer(264);
  trainer.Add(std::string(100'000, 'a'));
  const Vocabulary vocabulary = trainer.Train().value();
  EXPECT_EQ(vocabulary.tokens.back(), std::string(256, 'a'));
}

}  // namespace
}  // namespace floe::tokenizer
