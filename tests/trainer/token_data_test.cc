// Corpus to tokens to batches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/sha256.h"
#include "model/accounting.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temp_dir.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "trainer/batch_lookahead.h"
#include "trainer/batch_source.h"
#include "trainer/step_products.h"
#include "trainer/tokenize_corpus.h"

namespace floe::trainer {
namespace {

using testing::HasSubstr;

TokenFile WriteTokens(const std::filesystem::path& path, const std::vector<int32_t>& ids,
                      int64_t vocab_size) {
  auto writer = TokenFileWriter::Create(path, vocab_size).value();
  EXPECT_TRUE(writer.Append(ids).ok());
  EXPECT_TRUE(writer.Finish().ok());
  return TokenFile::Open(path).value();
}

std::vector<int32_t> Counting(int32_t count) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) ids[static_cast<size_t>(i)] = i;
  return ids;
}

TEST(TokenFileTest, GivesBackNarrowAndWideIds) {
  const test::TempDir folder;
  for (const int64_t vocab_size : {65536, 200000}) {
    const std::vector<int32_t> ids = {0, 1, 65535, static_cast<int32_t>(vocab_size - 1)};
    const TokenFile file = WriteTokens(folder / "a.tokens", ids, vocab_size);
    EXPECT_EQ(file.size(), 4);
    EXPECT_EQ(file.vocab_size(), vocab_size);
    int64_t read[3];
    file.Read(1, 3, read);
    EXPECT_THAT(read, testing::ElementsAre(1, 65535, vocab_size - 1));
  }
}

TEST(TokenFileTest, RefusesIdsOutsideTheVocabularyAndDamagedFiles) {
  const test::TempDir folder;
  auto writer = TokenFileWriter::Create(folder / "a.tokens", 10).value();
  EXPECT_EQ(writer.Append(std::vector<int32_t>{10}).code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.tokens"));

  WriteTokens(folder / "b.tokens", Counting(9), 10);
  const std::string bytes = ReadFile(folder / "b.tokens").value();
  for (const std::string& damaged :
       {bytes.substr(0, bytes.size() - 1), bytes + "x", "X" + bytes.substr(1), std::string("x")}) {
    folder.Write("c.tokens", damaged);
    EXPECT_EQ(TokenFile::Open(folder / "c.tokens").status().code(), absl::StatusCode::kDataLoss);
  }
}

// Seen when a buffer is written, or only at the end.
TEST(TokenFileTest, AFullDiskIsToldAndLeavesNothing) {
  const test::TempDir folder;
  for (const int32_t count : {100'000, 500}) {
    auto writer = TokenFileWriter::Create(folder / "a.tokens", 200'000).value();
    absl::Status failed;
    {
      const test::FileSizeLimit full(1000);
      failed = writer.Append(Counting(count));
      EXPECT_EQ(failed.ok(), count == 500);
      if (failed.ok()) failed = writer.Finish();
    }
    EXPECT_EQ(failed.code(), absl::StatusCode::kResourceExhausted) << failed;
    EXPECT_THAT(failed.message(), HasSubstr((folder / "a.tokens").string()));
    EXPECT_FALSE(std::filesystem::exists(folder / "a.tokens"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "nothing half-written stays";
}

TEST(TokenFileTest, RefusesAFileWhoseIdsLieOutsideItsOwnVocabulary) {
  const test::TempDir folder;
  for (const int64_t vocab_size : {10, 70000}) {
    WriteTokens(folder / "a.tokens", Counting(9), vocab_size);
    std::string bytes = ReadFile(folder / "a.tokens").value();
    const size_t width = (bytes.size() - 32) / 9;
    bytes[32 + 5 * width] = static_cast<char>(vocab_size);           // the sixth id,
    bytes[32 + 5 * width + 1] = static_cast<char>(vocab_size >> 8);  // little-endian
    if (width == 4) bytes[32 + 5 * width + 2] = static_cast<char>(vocab_size >> 16);
    folder.Write("b.tokens", bytes);
    const absl::Status damaged = TokenFile::Open(folder / "b.tokens").status();
    EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(damaged.message(),
                HasSubstr(absl::StrCat("holds the id ", vocab_size, ", outside its vocabulary")));
  }
}

TEST(HeldOutTest, IsAFunctionOfTheDocumentThatOnlyGrowsWithTheFraction) {
  int held_out = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string document = absl::StrCat("document ", i);
    const bool is = IsHeldOut(document, 0.1);
    held_out += is;
    EXPECT_EQ(is, IsHeldOut(document, 0.1));
    EXPECT_FALSE(IsHeldOut(document, 0));
    if (is) {
      EXPECT_TRUE(IsHeldOut(document, 0.2)) << document;
    }
  }
  EXPECT_NEAR(held_out, 200, 60);
  // Fixed for ever: other versions must split in the same way.
  EXPECT_TRUE(IsHeldOut("document 29", 0.1));
  EXPECT_FALSE(IsHeldOut("document 12", 0.1));
}

TEST(HeldOutTest, TakesItsShareFromTheBeginningOfACorpusOrderedByDigestToo) {
  std::vector<std::string> documents;
  for (int i = 0; i < 4000; ++i) documents.push_back(absl::StrCat("document ", i));
  std::sort(documents.begin(), documents.end(), [](const std::string& a, const std::string& b) {
    return Sha256::Hex(a) < Sha256::Hex(b);
  });
  const auto held_out = std::count_if(documents.begin(), documents.begin() + 400,
                                      [](const auto& text) { return IsHeldOut(text, 0.1); });
  EXPECT_NEAR(held_out, 40, 25);
}

class TokenizeCorpusTest : public testing::Test {
 protected:
  TokenizeOptions Options(std::string_view corpus) {
    TokenizeOptions options;
    options.corpus = folder_.Write("corpus.txt", corpus);
    options.folder = folder_ / "tokens";
    options.held_out_fraction = 0.3;
    options.corpus_digest = "c";
    options.tokenizer_digest = "t";
    return options;
  }
  std::string Text(const std::filesystem::path& path) {
    const TokenFile file = TokenFile::Open(path).value();
    std::vector<int64_t> ids(static_cast<size_t>(file.size()));
    file.Read(0, file.size(), ids.data());
    return tokenizer_->Decode(std::vector<int32_t>(ids.begin(), ids.end())).value();
  }

  const test::TempDir folder_;
  const std::unique_ptr<const tokenizer::Tokenizer> tokenizer_ = tokenizer::SampleTokenizer();
};

TEST_F(TokenizeCorpusTest, SplitsByDocumentAndSeparates) {
  std::string corpus, train, held_out;
  for (int i = 0; i < 50; ++i) {
    const std::string document = absl::StrCat("a text, number ", i);
    absl::StrAppend(&corpus, document, "\n\n");
    absl::StrAppend(IsHeldOut(document, 0.3) ? &held_out : &train, document, "<|endoftext|>");
  }
  const TokenizedCorpus tokens = TokenizeCorpus(*tokenizer_, Options(corpus)).value();
  EXPECT_EQ(tokens.documents, 50);
  EXPECT_EQ(Text(tokens.train), train);
  EXPECT_EQ(Text(tokens.held_out), held_out);
  EXPECT_FALSE(held_out.empty());
}

TEST_F(TokenizeCorpusTest, ReusesFinishedWorkOfTheSameInputOnly) {
  TokenizeOptions options = Options("one\n\ntwo\n\nthree\n");
  EXPECT_FALSE(TokenizeCorpus(*tokenizer_, options).value().reused);
  EXPECT_TRUE(TokenizeCorpus(*tokenizer_, options).value().reused);
  options.held_out_fraction = 0.5;
  EXPECT_FALSE(TokenizeCorpus(*tokenizer_, options).value().reused);
  options.corpus_digest = "d";
  EXPECT_FALSE(TokenizeCorpus(*tokenizer_, options).value().reused);
}

// Also where one of the two files could be written, and where another corpus' lie there: none of
// it is taken for whole.
TEST_F(TokenizeCorpusTest, AFullDiskIsToldAndNothingOfItIsReused) {
  std::string corpus;
  for (int i = 0; i < 400; ++i) absl::StrAppend(&corpus, "a text, number ", i, "\n\n");
  TokenizeOptions options = Options(corpus);
  for (const double fraction : {0.3, 0.7}) {
    options.held_out_fraction = fraction;
    options.folder = folder_ / "whole";
    const TokenizedCorpus whole = TokenizeCorpus(*tokenizer_, options).value();
    const auto [smaller, larger] = std::minmax(
        {std::filesystem::file_size(whole.train), std::filesystem::file_size(whole.held_out)});
    ASSERT_LT(smaller + 10, larger);
    options.folder = folder_ / "full";
    options.corpus_digest = "before";
    ASSERT_TRUE(TokenizeCorpus(*tokenizer_, options).ok());
    options.corpus_digest = "c";
    absl::Status failed;
    {
      const test::FileSizeLimit full(smaller + 10);
      failed = TokenizeCorpus(*tokenizer_, options).status();
    }
    EXPECT_EQ(failed.code(), absl::StatusCode::kResourceExhausted) << failed;
    EXPECT_THAT(failed.message(),
                testing::AllOf(HasSubstr(fraction < 0.5 ? "full/train.tokens" : "full/held_out."),
                               HasSubstr("make room there")));
    EXPECT_FALSE(std::filesystem::exists(options.folder / "tokens.json"));
    for (const auto& entry : std::filesystem::directory_iterator(options.folder)) {
      EXPECT_TRUE(TokenFile::Open(entry.path()).ok()) << entry.path();
    }
    const TokenizedCorpus again = TokenizeCorpus(*tokenizer_, options).value();
    EXPECT_FALSE(again.reused);
    EXPECT_EQ(Text(again.train), Text(whole.train));
    EXPECT_EQ(Text(again.held_out), Text(whole.held_out));
  }
}

TEST_F(TokenizeCorpusTest, NamesTheFileAndLineOfBadText) {
  const auto bad = TokenizeCorpus(*tokenizer_, Options("good\n\nbad \xFF\n"));
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(bad.status().message(), HasSubstr("corpus.txt"));
  EXPECT_THAT(bad.status().message(), HasSubstr("line 3"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tokens/train.tokens"));
  EXPECT_EQ(TokenizeCorpus(*tokenizer_, Options("")).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(TokenizeCorpusTest, StopsWhenAsked) {
  TokenizeOptions options = Options("one\n\ntwo\n");
  std::stop_source stop;
  stop.request_stop();
  options.stop = stop.get_token();
  EXPECT_EQ(TokenizeCorpus(*tokenizer_, options).status().code(), absl::StatusCode::kCancelled);
}

TEST(BatchSourceTest, VisitsEveryWindowOnceAnEpoch) {
  const test::TempDir folder;
  const TokenFile tokens = WriteTokens(folder / "a.tokens", Counting(101), 101);
  auto source = BatchSource::Create(tokens, 10, 1).value();
  std::vector<int64_t> inputs, targets;
  while (source.cursor().epoch == 0) source.Next(1, inputs, targets);
  inputs.resize(inputs.size() - 10);  // the last belongs to the next epoch
  ASSERT_EQ(inputs.size() % 10, 0u);
  EXPECT_GE(inputs.size(), 90u);
  EXPECT_EQ(std::set<int64_t>(inputs.begin(), inputs.end()).size(), inputs.size());
  EXPECT_FALSE(std::is_sorted(inputs.begin(), inputs.end()));
  for (size_t i = 0; i < inputs.size(); ++i) EXPECT_EQ(targets[i], inputs[i] + 1);
}

TEST(BatchSourceTest, GoesOnFromACursorAsIfItHadNeverStopped) {
  const test::TempDir folder;
  const TokenFile tokens = WriteTokens(folder / "a.tokens", Counting(101), 101);
  auto source = BatchSource::Create(tokens, 10, 7).value();
  std::vector<int64_t> inputs, targets;
  for (int i = 0; i < 25; ++i) {
    auto again = BatchSource::Create(tokens, 10, 99).value();
    ASSERT_TRUE(again.Seek(source.cursor()).ok());
    std::vector<int64_t> more_inputs, more_targets;
    inputs.clear();
    targets.clear();
    source.Next(3, inputs, targets);
    again.Next(3, more_inputs, more_targets);
    EXPECT_EQ(inputs, more_inputs);
    EXPECT_EQ(again.cursor(), source.cursor());
  }
  EXPECT_GT(source.cursor().epoch, 5);
  DataCursor beyond = source.cursor();
  beyond.position = 1000;
  EXPECT_EQ(source.Seek(beyond).code(), absl::StatusCode::kDataLoss);
}

TEST(BatchLookaheadTest, GivesTheSourcesBatchesAndCursorsWhateverIsReadAhead) {
  const test::TempDir folder;
  const TokenFile tokens = WriteTokens(folder / "a.tokens", Counting(101), 101);
  auto source = BatchSource::Create(tokens, 10, 7).value();
  BatchLookahead ahead(BatchSource::Create(tokens, 10, 7).value(), 4);
  EXPECT_EQ(ahead.cursor(), source.cursor());
  std::vector<DataCursor> cursors;
  for (int i = 0; i < 20; ++i) {
    cursors.push_back(source.cursor());
    std::vector<int64_t> inputs, targets;
    source.Next(4, inputs, targets);
    const BatchLookahead::Batch batch = ahead.Take();
    EXPECT_EQ(batch.inputs, inputs);
    EXPECT_EQ(batch.targets, targets);
    EXPECT_EQ(ahead.cursor(), source.cursor());
  }
  // Back, with a batch read ahead that is of no use any more; a cursor that is refused; and back.
  for (const DataCursor& cursor : {cursors[3], cursors[11]}) {
    DataCursor beyond = cursor;
    beyond.position = 1000;
    EXPECT_EQ(ahead.Seek(beyond).code(), absl::StatusCode::kDataLoss);
    ASSERT_TRUE(ahead.Seek(cursor).ok());
    ASSERT_TRUE(source.Seek(cursor).ok());
    std::vector<int64_t> inputs, targets;
    source.Next(4, inputs, targets);
    EXPECT_EQ(ahead.Take().inputs, inputs);
    EXPECT_EQ(ahead.cursor(), source.cursor());
  }
}

TEST(StepProductsTest, AreSixOperationsAWeightOfEachMatrixAndToken) {
  model::Blueprint dials;
  dials.vocab_size = 500;
  dials.hidden_size = 96;
  dials.num_layers = 3;
  dials.num_heads = 4;
  dials.num_kv_heads = 2;
  dials.head_dim = 16;
  dials.ffn_hidden = 200;
  dials.context = 64;
  for (const model::FfnKind ffn : {model::FfnKind::kGated, model::FfnKind::kPlain}) {
    dials.ffn = ffn;
    const model::ParameterCounts counts = model::CountParameters(dials);
    const auto weights = static_cast<double>(counts.attention + counts.ffn + counts.embeddings);
    EXPECT_DOUBLE_EQ(FlopsOf(StepProducts(dials, 3, 40)), 6 * 40 * weights);
    EXPECT_DOUBLE_EQ(FlopsOf(SampleProducts(dials, 40)), FlopsOf(StepProducts(dials, 1, 40)));
    EXPECT_LE(FlopsOf(SampleProducts(dials, 1'000'000)), 4e9);
  }
}

// As linear.h multiplies: a weight that lies [out, in] is turned forward, one of GPT-2 backward.
TEST(StepProductsTest, ReadOperandsAsTheyAreStored) {
  model::Blueprint dials;
  dials.vocab_size = 500;
  dials.hidden_size = 96;
  for (const bool gpt2 : {false, true}) {
    dials.family = gpt2 ? model::Family::kGpt2 : model::Family::kQwen3;
    const std::vector<MatrixProduct> products = StepProducts(dials, 1, 40);
    const MatrixProduct &forward = products[0], &backward = products[1], &weights = products[2];
    EXPECT_EQ(forward.right_turned, !gpt2);
    EXPECT_EQ(backward.right_turned, gpt2);
    EXPECT_FALSE(forward.left_turned || backward.left_turned || weights.right_turned);
    EXPECT_TRUE(weights.left_turned);
    EXPECT_EQ(weights.rows == forward.inner, gpt2) << "the weight's own order";
    EXPECT_EQ(weights.inner, 40);
  }
}

TEST(BatchSourceTest, RefusesATextThatIsTooShort) {
  const test::TempDir folder;
  const TokenFile tokens = WriteTokens(folder / "a.tokens", Counting(10), 101);
  EXPECT_TRUE(BatchSource::Create(tokens, 9, 1).ok());
  EXPECT_THAT(BatchSource::Create(tokens, 10, 1).status().message(), HasSubstr("at least 11"));
}

}  // namespace
}  // namespace floe::trainer
