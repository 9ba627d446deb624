// Text to token ids and back, losslessly: byte-level BPE over a frozen vocabulary. (Files that ask
// for NFC, such as Qwen's, give back the text in that form.)
//
// Ordinary text never becomes an added token: Encode("<|im_end|>") gives the pieces of that text.
// Only EncodeWithSpecials, for templates that the program itself wrote, recognises them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

#include "tokenizer/added_tokens.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/piece_cache.h"
#include "tokenizer/vocabulary.h"

namespace floe::tokenizer {

struct DecodeOptions {
  bool skip_special = false;  // leave out added tokens marked special
};

// Immutable and thread-safe; caches of recent pieces are kept inside and lent to one call at a
// time.
class Tokenizer {
 public:
  // INVALID_ARGUMENT as ValidateVocabulary says.
  static absl::StatusOr<std::unique_ptr<const Tokenizer>> Create(Vocabulary vocabulary);
  // From the text of a Hugging Face tokenizer.json; see tokenizer_json.h for what is understood.
  static absl::StatusOr<std::unique_ptr<const Tokenizer>> Load(std::string_view json);
  std::string ToJson() const;

  // Any bytes are accepted; Decode gives them back.
  std::vector<TokenId> Encode(std::string_view text) const;
  std::vector<TokenId> EncodeWithSpecials(std::string_view trusted_text) const;
  // With where each token ends in the text, in bytes. The white space that an added token takes
  // along is part of it, and what is no added token counts as long as its normal form.
  std::vector<TokenId> EncodeWithSpecials(std::string_view trusted_text,
                                          std::vector<uint64_t>& ends) const;
  // The same, but an added token is recognised only where `trusted(begin, length)` says so of its
  // place in the text; elsewhere its bytes are ordinary text, encoded as one with what is beside.
  using Trusted = AddedTokenFinder::Trusted;
  std::vector<TokenId> EncodeWithSpecials(std::string_view text, Trusted trusted) const;
  // Encode's ids appended to `ids`.
  void EncodeTo(std::string_view text, std::vector<TokenId>& ids) const;
  // Encode(texts[i]) for every i, over up to `threads` threads; a long text too goes over all of
  // them.
  std::vector<std::vector<TokenId>> EncodeBatch(std::span<const std::string_view> texts,
                                                int threads) const;
  // Encode(text).size().
  size_t Count(std::string_view text) const;

  // The bytes of `ids` put together; they need not be UTF-8. INVALID_ARGUMENT names the first id
  // that is not in the vocabulary.
  absl::StatusOr<std::string> Decode(std::span<const TokenId> ids,
                                     DecodeOptions options = {}) const;

  // The bytes of one token; nullopt for an id that is not in the vocabulary.
  std::optional<std::string_view> TokenBytes(TokenId id) const;
  // The id of an added token; nullopt when there is none of that text.
  std::optional<TokenId> SpecialId(std::string_view content) const;
  bool IsSpecial(TokenId id) const;

  // One past the highest id: what a model's embedding must cover.
  int vocab_size() const { return static_cast<int>(bytes_.size()); }
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  explicit Tokenizer(Vocabulary vocabulary);
  void EncodePiece(std::string_view piece, PieceCache& cache, std::vector<TokenId>& scratch,
                   std::vector<TokenId>& ids) const;
  // EncodeTo of a text that is in the normal form.
  void EncodeNormalTo(std::string_view text, std::vector<TokenId>& ids) const;

  const Vocabulary vocabulary_;
  const MergeTable merges_;
  const AddedTokenFinder added_;
  std::vector<std::string> bytes_;  // by id, added tokens too; empty: no such id
  std::vector<bool> special_;       // by id
  TokenId id_of_byte_[256];
  absl::flat_hash_map<std::string, TokenId> whole_pieces_;  // only with ignore_merges
  mutable PieceCachePool caches_;
};

// Turns a stream of ids into text that is valid UTF-8 at every step: bytes of an unfinished
// character wait for the rest, and bytes that can be no character come out as U+FFFD. All pieces
// put together equal ReplaceInvalidUtf8(Decode(all ids)). Not thread-safe; borrows the tokenizer.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {})
      : tokenizer_(tokenizer), options_(options) {}

  // The text that `id` completes, maybe empty. INVALID_ARGUMENT for an unknown id, which is
  // skipped.
  absl::StatusOr<std::string> Push(TokenId id);
  // What is left at the end: U+FFFD for an unfinished character, else nothing.
  std::string Flush();

 private:
  const Tokenizer& tokenizer_;
  const DecodeOptions options_;
  std::string pending_;
};

}  // namespace floe::tokenizer
