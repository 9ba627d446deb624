// The grammars of one model's vocabulary, compiled once and kept.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

#include "inference/grammar/compiled_grammar.h"
#include "inference/grammar/token_trie.h"
#include "tokenizer/tokenizer.h"

namespace floe::inference::grammar {

// What a text must look like, as somebody wrote it down.
struct Form {
  enum class Kind { kRegex, kEbnf, kJsonSchema, kJsonObject };
  Kind kind = Kind::kRegex;
  std::string text;
  bool operator==(const Form&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const Form& form) {
    return H::combine(std::move(h), form.kind, form.text);
  }
};

// Reads a form. Pure; INVALID_ARGUMENT says what is wrong and where.
absl::StatusOr<Grammar> CompileForm(const Form& form);

// Thread-safe. Borrows the tokenizer. The least recently used grammar leaves first; requests that
// hold it keep it.
class GrammarCache {
 public:
  static constexpr size_t kMaxGrammars = 16;

  // `end_ids` end a text; `vocab_size` is the number of the model's logits.
  GrammarCache(const tokenizer::Tokenizer& tokenizer, std::vector<int32_t> end_ids,
               int64_t vocab_size)
      : tokenizer_(tokenizer), end_ids_(std::move(end_ids)), vocab_size_(vocab_size) {}

  // Compiled now or before; the first caller also lays out the vocabulary, which takes some tens of
  // milliseconds. INVALID_ARGUMENT as CompileForm and CompiledGrammar::Create say.
  absl::StatusOr<std::shared_ptr<CompiledGrammar>> Get(const Form& form);

 private:
  struct Kept {
    Form form;
    std::shared_ptr<CompiledGrammar> grammar;  // shared with requests under way
  };
  std::shared_ptr<const TokenTrie> Tokens();

  const tokenizer::Tokenizer& tokenizer_;
  const std::vector<int32_t> end_ids_;
  const int64_t vocab_size_;
  std::once_flag laid_out_;
  std::shared_ptr<const TokenTrie> tokens_;  // set once; shared with the grammars
  std::mutex mutex_;
  std::list<Kept> kept_;                                          // most recently used first
  absl::flat_hash_map<Form, std::list<Kept>::iterator> kept_of_;  // guarded by mutex_, as kept_
};

}  // namespace floe::inference::grammar
