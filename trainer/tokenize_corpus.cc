#include "trainer/tokenize_corpus.h"

#include <cstdlib>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "trainer/token_file.h"

namespace floe::trainer {
namespace {

constexpr int64_t kBatchBytes = 1 << 20;  // encoded at once by all threads
constexpr char kSeparator[] = "<|endoftext|>";
constexpr char kSummary[] = "tokens.json";
constexpr int kFormat = 2;

std::string KeyOf(const TokenizeOptions& options) {
  return absl::StrCat(kFormat, "/", options.corpus_digest, "/", options.tokenizer_digest, "/",
                      options.held_out_fraction);
}

// The finished work of an earlier attempt, if the folder holds it.
absl::StatusOr<TokenizedCorpus> Reuse(const TokenizeOptions& options, TokenizedCorpus corpus) {
  FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.folder / kSummary, 1 << 16));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("key", "") != KeyOf(options)) {
    return absl::NotFoundError("another corpus");
  }
  FLOE_ASSIGN_OR_RETURN(const TokenFile train, TokenFile::Open(corpus.train));
  FLOE_ASSIGN_OR_RETURN(const TokenFile held_out, TokenFile::Open(corpus.held_out));
  corpus.train_tokens = train.size();
  corpus.held_out_tokens = held_out.size();
  corpus.documents = json.value("documents", int64_t{0});
  corpus.reused = true;
  return corpus;
}

// Documents wait here until there are enough of them to keep all threads busy.
class Splitter {
 public:
  Splitter(const tokenizer::Tokenizer& tokenizer, const TokenizeOptions& options,
           tokenizer::TokenId separator, TokenFileWriter& train, TokenFileWriter& held_out)
      : tokenizer_(tokenizer),
        options_(options),
        separator_(separator),
        train_(train),
        held_out_(held_out) {}

  absl::Status Add(std::string_view document) {
    waiting_.emplace_back(document);
    waiting_bytes_ += static_cast<int64_t>(document.size());
    return waiting_bytes_ < kBatchBytes ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    if (options_.stop.stop_requested()) return absl::CancelledError("stopped while tokenizing");
    const std::vector<std::string_view> views(waiting_.begin(), waiting_.end());
    const auto encoded = tokenizer_.EncodeBatch(views, options_.threads);
    for (size_t i = 0; i < views.size(); ++i) {
      TokenFileWriter& to = IsHeldOut(views[i], options_.held_out_fraction) ? held_out_ : train_;
      const std::vector<int32_t> ids(encoded[i].begin(), encoded[i].end());
      FLOE_RETURN_IF_ERROR(to.Append(ids));
      const int32_t separator = static_cast<int32_t>(separator_);
      FLOE_RETURN_IF_ERROR(to.Append({&separator, 1}));
    }
    documents_ += static_cast<int64_t>(views.size());
    waiting_.clear();
    waiting_bytes_ = 0;
    return absl::OkStatus();
  }

  int64_t documents() const { return documents_; }

 private:
  const tokenizer::Tokenizer& tokenizer_;
  const TokenizeOptions& options_;
  const tokenizer::TokenId separator_;
  TokenFileWriter& train_;
  TokenFileWriter& held_out_;
  std::vector<std::string> waiting_;
  int64_t waiting_bytes_ = 0;
  int64_t documents_ = 0;
};

absl::Status VisitCorpus(const TokenizeOptions& options, Splitter& splitter) {
  FLOE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(options.corpus));
  const std::string_view bytes = file.bytes();
  const auto total = static_cast<int64_t>(bytes.size());
  int64_t done = 0, told = 0;
  const absl::Status visited =
      tokenizer::ForEachDocument(bytes, options.format, [&](std::string_view document) {
        FLOE_RETURN_IF_ERROR(splitter.Add(document));
        done += static_cast<int64_t>(document.size());
        if (options.on_progress && done - told >= kBatchBytes) {
          options.on_progress(told = done, total);
        }
        return absl::OkStatus();
      });
  if (!visited.ok()) {
    return absl::Status(visited.code(),
                        absl::StrCat(options.corpus.string(), ": ", visited.message()));
  }
  FLOE_RETURN_IF_ERROR(splitter.Flush());
  if (options.on_progress) options.on_progress(total, total);
  return absl::OkStatus();
}

// The files of `corpus`, whose counts are filled in; the summary last.
absl::Status WriteTokens(const tokenizer::Tokenizer& tokenizer, const TokenizeOptions& options,
                         tokenizer::TokenId separator, TokenizedCorpus& corpus) {
  const int64_t vocab_size = tokenizer.vocab_size();
  FLOE_ASSIGN_OR_RETURN(auto train, TokenFileWriter::Create(corpus.train, vocab_size));
  FLOE_ASSIGN_OR_RETURN(auto held_out, TokenFileWriter::Create(corpus.held_out, vocab_size));
  Splitter splitter(tokenizer, options, separator, train, held_out);
  FLOE_RETURN_IF_ERROR(VisitCorpus(options, splitter));
  FLOE_RETURN_IF_ERROR(train.Finish());
  FLOE_RETURN_IF_ERROR(held_out.Finish());
  corpus.train_tokens = train.count();
  corpus.held_out_tokens = held_out.count();
  corpus.documents = splitter.documents();
  const nlohmann::ordered_json summary = {{"key", KeyOf(options)}, {"documents", corpus.documents}};
  return WriteFileAtomically(options.folder / kSummary, summary.dump());
}

}  // namespace

bool IsHeldOut(std::string_view document, double fraction) {
  uint64_t hash = 0;
  // With a prefix: corpora are often ordered by their documents' SHA-256 itself, and the split must
  // not take all that it holds out from their beginning.
  const std::string hex =
      Sha256::Hex(absl::StrCat("held out?\n", absl::string_view(document.data(), document.size())));
  if (!absl::SimpleHexAtoi(absl::string_view(hex.data(), 16), &hash)) std::abort();
  return static_cast<double>(hash >> 11) * 0x1.0p-53 < fraction;
}

absl::StatusOr<TokenizedCorpus> TokenizeCorpus(const tokenizer::Tokenizer& tokenizer,
                                               const TokenizeOptions& options) {
  const auto separator = tokenizer.SpecialId(kSeparator);
  if (!separator) {
    return absl::FailedPreconditionError(
        absl::StrCat("the tokenizer has no special token ", kSeparator,
                     ", which separates documents; train one with it in special_tokens"));
  }
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) return ErrnoStatus(error.value(), "cannot make " + options.folder.string());
  TokenizedCorpus corpus;
  corpus.train = options.folder / "train.tokens";
  corpus.held_out = options.folder / "held_out.tokens";
  if (auto reused = Reuse(options, corpus); reused.ok()) return reused;

  // Gone before a token changes: a folder with a summary is whole.
  std::filesystem::remove(options.folder / kSummary, error);
  if (error) return ErrnoStatus(error.value(), "cannot clear " + options.folder.string());
  const absl::Status written = WriteTokens(tokenizer, options, *separator, corpus);
  if (absl::IsResourceExhausted(written)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(written.message(), "; make room there and start it again (a token takes ",
                     tokenizer.vocab_size() <= 1 << 16 ? 2 : 4, " bytes)"));
  }
  FLOE_RETURN_IF_ERROR(written);
  return corpus;
}

}  // namespace floe::trainer
