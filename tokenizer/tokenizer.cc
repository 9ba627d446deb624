#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/text_cutter.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/unicode/nfc.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {

constexpr size_t kPartBytes = 256 << 10;  // of one text for one thread at a time

}  // namespace

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::Create(Vocabulary vocabulary) {
  FLOE_RETURN_IF_ERROR(ValidateVocabulary(vocabulary));
  return std::unique_ptr<const Tokenizer>(new Tokenizer(std::move(vocabulary)));
}

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::Load(std::string_view json) {
  FLOE_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseTokenizerJson(json));
  return Create(std::move(vocabulary));
}

std::string Tokenizer::ToJson() const { return WriteTokenizerJson(vocabulary_); }

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)),
      merges_(vocabulary_.merges, vocabulary_.equal_merges),
      added_(vocabulary_.added, vocabulary_.normalize_nfc),
      bytes_(vocabulary_.tokens) {
  for (size_t id = 0; id < bytes_.size(); ++id) {
    const std::string& token = bytes_[id];
    if (token.size() == 1) id_of_byte_[static_cast<uint8_t>(token[0])] = static_cast<TokenId>(id);
    if (vocabulary_.ignore_merges && !token.empty())
      whole_pieces_[token] = static_cast<TokenId>(id);
  }
  for (const AddedToken& token : vocabulary_.added) {
    if (static_cast<size_t>(token.id) >= bytes_.size()) bytes_.resize(token.id + 1);
    bytes_[token.id] = token.content;
  }
  special_.resize(bytes_.size());
  for (const AddedToken& token : vocabulary_.added) special_[token.id] = token.special;
}

void Tokenizer::EncodePiece(std::string_view piece, PieceCache& cache,
                            std::vector<TokenId>& scratch, std::vector<TokenId>& ids) const {
  if (piece.size() == 1) {
    ids.push_back(id_of_byte_[static_cast<uint8_t>(piece[0])]);
    return;
  }
  const bool cacheable = piece.size() <= PieceCache::kMaxBytes;
  PieceCache::Key key;
  if (cacheable) {
    key = PieceCache::KeyOf(piece);
    if (const std::span<const TokenId> known = cache.Find(key); !known.empty()) {
      ids.insert(ids.end(), known.begin(), known.end());
      return;
    }
  }
  scratch.clear();
  const auto whole =
      vocabulary_.ignore_merges ? whole_pieces_.find(AbslView(piece)) : whole_pieces_.end();
  if (whole != whole_pieces_.end()) {
    scratch.push_back(whole->second);
  } else {
    for (const char byte : piece) scratch.push_back(id_of_byte_[static_cast<uint8_t>(byte)]);
    merges_.Apply(scratch);
  }
  if (cacheable) cache.Insert(key, scratch);
  ids.insert(ids.end(), scratch.begin(), scratch.end());
}

void Tokenizer::EncodeTo(std::string_view text, std::vector<TokenId>& ids) const {
  std::string normalized;
  if (vocabulary_.normalize_nfc && !IsPlainlyNfc(text)) {
    normalized = ToNfc(text);
    text = normalized;
  }
  EncodeNormalTo(text, ids);
}

void Tokenizer::EncodeNormalTo(std::string_view text, std::vector<TokenId>& ids) const {
  PieceCachePool::Lease cache(caches_);
  std::vector<TokenId> scratch;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = PieceEnd(vocabulary_.pattern, text, begin);
    EncodePiece(text.substr(begin, end - begin), *cache, scratch, ids);
    begin = end;
  }
}

std::vector<TokenId> Tokenizer::Encode(std::string_view text) const {
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 1);
  EncodeTo(text, ids);
  return ids;
}

std::vector<TokenId> Tokenizer::EncodeWithSpecials(std::string_view trusted_text) const {
  return EncodeWithSpecials(trusted_text, [](size_t, size_t) { return true; });
}

std::vector<TokenId> Tokenizer::EncodeWithSpecials(std::string_view text, Trusted trusted) const {
  std::vector<TokenId> ids;
  added_.ForEachPart(text, trusted, [&](const AddedTokenFinder::Part& part) {
    if (part.token == nullptr) return EncodeNormalTo(part.text, ids);
    ids.push_back(part.token->id);
  });
  return ids;
}

std::vector<TokenId> Tokenizer::EncodeWithSpecials(std::string_view trusted_text,
                                                   std::vector<uint64_t>& ends) const {
  std::vector<TokenId> ids;
  ends.clear();
  const auto trusted = [](size_t, size_t) { return true; };
  added_.ForEachPart(trusted_text, trusted, [&](const AddedTokenFinder::Part& part) {
    if (part.token != nullptr) {
      ids.push_back(part.token->id);
      ends.push_back(part.end);
      return;
    }
    EncodeNormalTo(part.text, ids);
    uint64_t end = part.end - part.text.size();
    while (ends.size() < ids.size()) ends.push_back(end += bytes_[ids[ends.size()]].size());
  });
  return ids;
}

std::vector<std::vector<TokenId>> Tokenizer::EncodeBatch(std::span<const std::string_view> texts,
                                                         int threads) const {
  struct Part {
    size_t text;
    std::string_view bytes;
    std::vector<TokenId> ids;
  };
  std::vector<Part> parts;
  for (size_t i = 0; i < texts.size(); ++i) {
    for (const std::string_view bytes : CutIntoParts(texts[i], kPartBytes)) {
      parts.push_back({i, bytes, {}});
    }
  }
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < parts.size(); i = next++) parts[i].ids = Encode(parts[i].bytes);
  };
  const size_t workers = std::min<size_t>(std::max(threads, 1), parts.size());
  std::vector<std::jthread> others;
  for (size_t i = 1; i < workers; ++i) others.emplace_back(work);
  work();
  others.clear();  // joins
  std::vector<std::vector<TokenId>> results(texts.size());
  for (Part& part : parts) {
    std::vector<TokenId>& ids = results[part.text];
    if (ids.empty()) {
      ids = std::move(part.ids);
    } else {
      ids.insert(ids.end(), part.ids.begin(), part.ids.end());
    }
  }
  return results;
}

size_t Tokenizer::Count(std::string_view text) const { return Encode(text).size(); }

std::optional<std::string_view> Tokenizer::TokenBytes(TokenId id) const {
  if (id < 0 || id >= vocab_size() || bytes_[id].empty()) return std::nullopt;
  return bytes_[id];
}

bool Tokenizer::IsSpecial(TokenId id) const { return id >= 0 && id < vocab_size() && special_[id]; }

absl::StatusOr<std::string> Tokenizer::Decode(std::span<const TokenId> ids,
                                              DecodeOptions options) const {
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto bytes = TokenBytes(ids[i]);
    if (!bytes) {
      return absl::InvalidArgumentError(absl::StrCat("id ", ids[i], " at position ", i,
                                                     " is not in the vocabulary of ", vocab_size(),
                                                     " tokens; is it another model's?"));
    }
    if (options.skip_special && IsSpecial(ids[i])) continue;
    text.append(*bytes);
  }
  return text;
}

std::optional<TokenId> Tokenizer::SpecialId(std::string_view content) const {
  for (const AddedToken& token : vocabulary_.added) {
    if (token.content == content) return token.id;
  }
  return std::nullopt;
}

absl::StatusOr<std::string> StreamDecoder::Push(TokenId id) {
  FLOE_ASSIGN_OR_RETURN(const std::string bytes, tokenizer_.Decode({&id, 1}, options_));
  pending_ += bytes;
  const size_t tail = IncompleteUtf8Tail(pending_);
  const std::string_view complete = std::string_view(pending_).substr(0, pending_.size() - tail);
  std::string text = ReplaceInvalidUtf8(complete);
  pending_.erase(0, complete.size());
  return text;
}

std::string StreamDecoder::Flush() {
  std::string text = ReplaceInvalidUtf8(pending_);
  pending_.clear();
  return text;
}

}  // namespace floe::tokenizer
