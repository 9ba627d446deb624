#include "tokenizer/trainer.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/merge_finder.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {

constexpr int kBytes = 256;
constexpr int kMergesBetweenReports = 64;

// The vocabulary before the first merge: the bytes, in the order of their alphabet.
Vocabulary StartOf(const TrainOptions& options) {
  Vocabulary vocabulary;
  vocabulary.pattern = options.pattern;
  for (int rank = 0; rank < kBytes; ++rank) {
    vocabulary.tokens.emplace_back(1, static_cast<char>(ByteOfRank(rank)));
  }
  return vocabulary;
}

void AppendSpecials(const TrainOptions& options, Vocabulary& vocabulary) {
  auto id = static_cast<TokenId>(vocabulary.tokens.size());
  for (const std::string& content : options.special_tokens) {
    vocabulary.added.push_back(AddedToken{id++, content, true, false});
  }
}

}  // namespace

absl::StatusOr<Trainer> Trainer::Create(TrainOptions options) {
  const int fixed = kBytes + static_cast<int>(options.special_tokens.size());
  if (options.vocab_size < fixed || options.vocab_size > kMaxVocabSize) {
    return absl::InvalidArgumentError(absl::StrCat(
        "vocab_size is ", options.vocab_size, "; it must be at least ", fixed, " (256 bytes and ",
        options.special_tokens.size(), " special tokens) and at most ", kMaxVocabSize));
  }
  if (options.max_memory_bytes < (int64_t{1} << 20)) {
    return absl::InvalidArgumentError("max_memory_mb must be at least 1");
  }
  absl::flat_hash_set<std::string> seen;
  for (const std::string& content : options.special_tokens) {
    if (content.empty() || ReplaceInvalidUtf8(content) != content) {
      return absl::InvalidArgumentError(absl::StrCat("special token \"", absl::CHexEscape(content),
                                                     "\" must be UTF-8 text that is not empty"));
    }
    if (!seen.insert(content).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("special token \"", absl::CHexEscape(content), "\" is listed twice"));
    }
  }
  return Trainer(std::move(options));
}

int64_t Trainer::CountPieces(Pattern pattern, std::string_view document, int64_t times,
                             PieceCounts& counts) {
  int64_t new_bytes = 0;
  for (size_t begin = 0; begin < document.size();) {
    const size_t end = PieceEnd(pattern, document, begin);
    const auto [entry, is_new] =
        counts.try_emplace(AbslView(document.substr(begin, end - begin)), 0);
    entry->second += times;
    if (is_new) new_bytes += static_cast<int64_t>(end - begin);
    begin = end;
  }
  return new_bytes;
}

void Trainer::AddCounted(std::string_view document, int64_t times) {
  if (times <= 0) return;
  bytes_ += static_cast<int64_t>(document.size()) * times;
  distinct_bytes_ += CountPieces(options_.pattern, document, times, counts_);
}

absl::Status Trainer::AddAll(std::span<const std::string_view> documents, int threads) {
  const size_t workers = std::min<size_t>(std::max(threads, 1), documents.size());
  if (workers <= 1) {
    for (const std::string_view document : documents) Add(document);
    return CheckMemory();
  }
  std::vector<PieceCounts> partial(workers);
  std::atomic<size_t> next{0};
  {
    std::vector<std::jthread> running;
    for (size_t w = 0; w < workers; ++w) {
      running.emplace_back([&, w] {
        for (size_t i = next++; i < documents.size(); i = next++) {
          CountPieces(options_.pattern, documents[i], 1, partial[w]);
        }
      });
    }
  }
  for (const std::string_view document : documents) bytes_ += static_cast<int64_t>(document.size());
  for (const PieceCounts& counts : partial) {
    for (const auto& [piece, count] : counts) {
      const auto [entry, is_new] = counts_.try_emplace(piece, 0);
      entry->second += count;
      if (is_new) distinct_bytes_ += static_cast<int64_t>(piece.size());
    }
  }
  return CheckMemory();
}

int64_t Trainer::EstimatedMemory() const {
  constexpr int64_t kPiece = 120;  // string, count and table slot at a load of one half, and a word
  constexpr int64_t kByte = 10;    // its text, a symbol, and its place in the lists of pairs
  return static_cast<int64_t>(counts_.size()) * kPiece + distinct_bytes_ * kByte;
}

absl::Status Trainer::CheckMemory() const {
  if (EstimatedMemory() <= options_.max_memory_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "after ", bytes_, " bytes the text has ", counts_.size(),
      " different pieces, which need about ", EstimatedMemory() >> 20, " MiB; max_memory_mb is ",
      options_.max_memory_bytes >> 20, ": raise it, or give a sample of the text"));
}

absl::StatusOr<Vocabulary> Trainer::Train() const {
  if (counts_.empty()) {
    return absl::FailedPreconditionError("there is no text to train on: the corpus is empty");
  }
  FLOE_RETURN_IF_ERROR(CheckMemory());
  Vocabulary vocabulary = StartOf(options_);
  MergeFinder finder;
  std::vector<TokenId> ids;
  for (const auto& [piece, count] : counts_) {
    ids.clear();
    for (const char byte : piece) ids.push_back(RankOfByte(static_cast<uint8_t>(byte)));
    finder.AddWord(ids, count);
  }
  finder.Start();

  const size_t target = options_.vocab_size - options_.special_tokens.size();
  const auto report = [&] {
    if (!options_.on_progress) return;
    options_.on_progress(
        {static_cast<int>(vocabulary.tokens.size()) - kBytes, static_cast<int>(target) - kBytes});
  };
  absl::flat_hash_map<std::string, TokenId> id_of;
  for (TokenId id = 0; id < kBytes; ++id) id_of[vocabulary.tokens[id]] = id;
  absl::flat_hash_set<uint64_t> merged;
  for (int step = 0; vocabulary.tokens.size() < target; ++step) {
    if (options_.stop.stop_requested()) {
      return absl::CancelledError("tokenizer training was cancelled");
    }
    if (step % kMergesBetweenReports == 0) report();
    const MergeFinder::Best best = finder.Next();
    if (best.count <= 0 || best.count < options_.min_frequency) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the corpus runs out of pairs at ",
          vocabulary.tokens.size() + options_.special_tokens.size(), " tokens, before vocab_size ",
          options_.vocab_size, "; lower vocab_size to that, or give more text"));
    }
    // Two ways of cutting can lead to the same bytes; they share one token.
    std::string bytes = vocabulary.tokens[best.left] + vocabulary.tokens[best.right];
    const auto [entry, is_new] =
        id_of.emplace(bytes, static_cast<TokenId>(vocabulary.tokens.size()));
    if (is_new) vocabulary.tokens.push_back(std::move(bytes));
    // A pair that comes back, because a later merge made one of its sides anew, is listed once.
    const uint64_t key = static_cast<uint64_t>(best.left) << 32 | static_cast<uint64_t>(best.right);
    if (merged.insert(key).second) {
      vocabulary.merges.push_back({best.left, best.right, entry->second});
    }
    finder.Join(best.left, best.right, entry->second);
  }
  report();
  AppendSpecials(options_, vocabulary);
  return vocabulary;
}

}  // namespace floe::tokenizer
