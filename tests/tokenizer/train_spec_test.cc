#include "tokenizer/train_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace floe::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string RefusalOf(std::string_view text) {
  const auto spec = ParseTrainSpec(text);
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(spec.status().message());
}

TEST(TrainSpecTest, ReadsYamlAndFillsDefaultsIn) {
  const TrainSpec spec = ParseTrainSpec("name: words-4k\ndataset: words\n").value();
  EXPECT_EQ(spec.name, "words-4k");
  EXPECT_EQ(spec.options.vocab_size, 4096);
  EXPECT_EQ(spec.options.pattern, Pattern::kQwen2);
  EXPECT_EQ(TrainSpecJson(spec),
            R"({"name":"words-4k","dataset":"words","vocab_size":4096,"pattern":"qwen2",)"
            R"("special_tokens":["<|endoftext|>","<|im_start|>","<|im_end|>"],)"
            R"("max_memory_mb":8192})");
}

TEST(TrainSpecTest, ReadsItsOwnJson) {
  const std::string json =
      R"({"name":"t","dataset":"teams/nlp/datasets/d","vocab_size":300,"pattern":"gpt2",)"
      R"("special_tokens":["<s>"],"max_memory_mb":100})";
  const TrainSpec spec = ParseTrainSpec(json).value();
  EXPECT_THAT(spec.options.special_tokens, ElementsAre("<s>"));
  EXPECT_EQ(TrainSpecJson(spec), json);
}

TEST(TrainSpecTest, ADatasetMayNameOneRevision) {
  const std::string digest(64, 'a');
  EXPECT_TRUE(ParseTrainSpec("name: t\ndataset: d@sha256:" + digest).ok());
  EXPECT_THAT(RefusalOf("name: t\ndataset: d@sha256:12\n"), HasSubstr("line 2: dataset"));
}

TEST(TrainSpecTest, NamesTheKeyAndTheLine) {
  EXPECT_THAT(RefusalOf("name: t\ndataset: d\nvocabsize: 4\n"),
              HasSubstr("line 3: unknown key \"vocabsize\""));
  EXPECT_THAT(RefusalOf("name: t\nname: u\ndataset: d\n"),
              HasSubstr("line 2: \"name\" is given twice"));
  EXPECT_THAT(RefusalOf("name: Bad Name\ndataset: d\n"), HasSubstr("line 1: name"));
  EXPECT_THAT(RefusalOf("name: t\ndataset: [1]\n"), HasSubstr("line 2: dataset must be a string"));
  EXPECT_THAT(RefusalOf("name: t\ndataset: d\nvocab_size: many\n"),
              HasSubstr("line 3: vocab_size"));
  EXPECT_THAT(RefusalOf("name: t\ndataset: d\nvocab_size: 99999999999\n"), HasSubstr("line 3"));
  EXPECT_THAT(RefusalOf("name: t\ndataset: d\npattern: p99k\n"),
              HasSubstr("gpt2, cl100k, qwen2, o200k"));
  EXPECT_THAT(RefusalOf("name: t\ndataset: d\nspecial_tokens: x\n"), HasSubstr("line 3"));
  EXPECT_THAT(RefusalOf("name: t\n"), HasSubstr("\"dataset\" is missing"));
}

TEST(TrainSpecTest, MemoryIsAtLeastAMegabyte) {
  EXPECT_THAT(RefusalOf("name: a\ndataset: b\nmax_memory_mb: 0\n"), HasSubstr("line 3"));
  EXPECT_THAT(RefusalOf("name: a\ndataset: b\nmax_memory_mb: 99999999999\n"), HasSubstr("from 1"));
}

TEST(TrainSpecTest, RefusesWhatTheTrainerWouldRefuse) {
  EXPECT_THAT(RefusalOf("name: t\ndataset: d\nvocab_size: 100\n"), HasSubstr("at least 259"));
  EXPECT_THAT(RefusalOf("name: t\ndataset: d\nspecial_tokens: [a, a]\n"), HasSubstr("twice"));
}

TEST(TrainSpecTest, RefusesWhatIsNoMap) {
  for (const std::string text : {"", "x", "[1, 2]", "{", "a: b: c", "\t- x", "\xFF\xFE"}) {
    EXPECT_FALSE(ParseTrainSpec(text).ok()) << text;
  }
  EXPECT_THAT(RefusalOf(std::string(100'000, '[')), HasSubstr("limit"));
  EXPECT_FALSE(ParseTrainSpec(std::string(60'000, '[')).ok());
}

}  // namespace
}  // namespace floe::tokenizer
