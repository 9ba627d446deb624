// A tiny base checkpoint and rendered examples for the tests of this folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "model/checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/alignment/rendered.h"
#include "trainer/internal/transformer.h"

namespace floe::trainer {

// Random weights, written as a checkpoint and opened again.
inline model::Checkpoint TinyBase(const std::filesystem::path& folder, uint64_t seed = 5) {
  const Transformer transformer = Transformer::Create(TinyBlueprint(), seed).value();
  model::CheckpointContents contents;
  contents.blueprint = TinyBlueprint();
  contents.tensors = transformer.Export();
  contents.tokenizer_files["tokenizer.json"] = tokenizer::SampleTokenizer()->ToJson();
  EXPECT_TRUE(model::WriteCheckpoint(folder, contents).ok());
  return model::Checkpoint::Open(folder).value();
}

inline std::vector<Rendered> Chats(const tokenizer::Tokenizer& tokenizer, int count, int from = 0) {
  std::vector<ChatExample> chats;
  for (int i = from; i < from + count; ++i) {
    chats.push_back({{{"user", absl::StrCat("n", i)}, {"assistant", absl::StrCat("m", i % 3)}}, i});
  }
  return RenderChats(tokenizer, chats, {.max_tokens = 48}).value().examples;
}

// The chosen answer says what the question says, the rejected one another thing.
inline std::vector<RenderedPair> Pairs(const tokenizer::Tokenizer& tokenizer, int count,
                                       int from = 0) {
  std::vector<PreferencePair> pairs;
  for (int i = from; i < from + count; ++i) {
    pairs.push_back({{{"user", absl::StrCat("q", i % 4)}},
                     absl::StrCat("a", i % 4),
                     absl::StrCat("long b", (i + 1) % 4),
                     i});
  }
  return RenderPairs(tokenizer, pairs, {.max_tokens = 48}).value().examples;
}

}  // namespace floe::trainer
