// A corpus file to token files, split into training and held-out text by document.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "tokenizer/documents.h"
#include "tokenizer/tokenizer.h"

namespace floe::trainer {

// Which documents are held out: a function of the document's bytes and the fraction alone, so that
// it does not change with order, machine or other documents, and growing the fraction only adds.
bool IsHeldOut(std::string_view document, double fraction);

struct TokenizeOptions {
  std::filesystem::path corpus;
  tokenizer::TextFormat format = tokenizer::TextFormat::kText;
  std::filesystem::path folder;  // train.tokens, held_out.tokens, tokens.json; made if missing
  double held_out_fraction = 0;
  int threads = 1;
  std::string corpus_digest;  // with the next: which work a finished folder holds
  std::string tokenizer_digest;
  std::function<void(int64_t done, int64_t total)> on_progress;  // bytes; from the calling thread
  std::stop_token stop;
};

struct TokenizedCorpus {
  std::filesystem::path train;
  std::filesystem::path held_out;
  int64_t train_tokens = 0;
  int64_t held_out_tokens = 0;
  int64_t documents = 0;
  bool reused = false;  // the folder already held exactly this
};

// Each document is followed by `<|endoftext|>`, which the tokenizer must have. A folder that holds
// the finished work of the same corpus, tokenizer and fraction is used as it is. Errors: those of
// reading the corpus; FAILED_PRECONDITION when the tokenizer lacks the token; CANCELLED;
// RESOURCE_EXHAUSTED when the disk is full. After an error the folder holds no finished work.
absl::StatusOr<TokenizedCorpus> TokenizeCorpus(const tokenizer::Tokenizer& tokenizer,
                                               const TokenizeOptions& options);

}  // namespace floe::trainer
