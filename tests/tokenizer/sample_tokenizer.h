// A small trained tokenizer and random texts, for the tests of this folder.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <utility>

#include "tokenizer/tokenizer.h"
#include "tokenizer/trainer.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {

#include "tests/tokenizer/golden_training.inc"

inline Vocabulary TrainSample(Pattern pattern = Pattern::kQwen2, int vocab_size = 403) {
  TrainOptions options;
  options.pattern = pattern;
  options.vocab_size = vocab_size;
  Trainer trainer = Trainer::Create(options).value();
  trainer.Add(kCorpus);
  return trainer.Train().value();
}

inline std::unique_ptr<const Tokenizer> SampleTokenizer(Pattern pattern = Pattern::kQwen2) {
  return Tokenizer::Create(TrainSample(pattern)).value();
}

inline std::string RandomBytes(std::mt19937& random, size_t length) {
  std::string text(length, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// Characters from all over Unicode, half of them ASCII.
inline std::string RandomText(std::mt19937& random, size_t characters) {
  std::string text;
  for (size_t i = 0; i < characters; ++i) {
    char32_t c = random() % 2 == 0 ? random() % 128 : random() % 0x110000;
    if (c >= 0xD800 && c < 0xE000) c = 'x';
    AppendUtf8(c, text);
  }
  return text;
}

}  // namespace floe::tokenizer
