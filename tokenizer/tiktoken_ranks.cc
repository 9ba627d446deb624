#include "tokenizer/tiktoken_ranks.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::tokenizer {
namespace {

// Longer tokens are nobody's: the longest published ones have some hundred bytes.
constexpr size_t kMaxTokenBytes = 1024;
// A file may leave as many ids unused as it has tokens, and these.
constexpr size_t kMaxHoles = 1024;

absl::Status Bad(size_t line, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("rank file, line ", line, ": ", AbslView(what)));
}

// One line, without its break.
struct RankedToken {
  std::string bytes;
  TokenId rank = 0;
};

absl::StatusOr<RankedToken> ReadLine(std::string_view line, size_t number) {
  const size_t space = line.find(' ');
  RankedToken token;
  if (space == std::string_view::npos ||
      !absl::SimpleAtoi(AbslView(line.substr(space + 1)), &token.rank)) {
    return Bad(number, "must be a token in base64, a space and its rank; is the file cut off?");
  }
  if (token.rank < 0 || token.rank >= kMaxVocabSize) {
    return Bad(number,
               absl::StrCat("the rank ", token.rank, " is not one of 0 to ", kMaxVocabSize - 1));
  }
  if (!absl::Base64Unescape(AbslView(line.substr(0, space)), &token.bytes) || token.bytes.empty() ||
      token.bytes.size() > kMaxTokenBytes) {
    return Bad(number, absl::StrCat("the token must be base64 of 1 to ", kMaxTokenBytes, " bytes"));
  }
  return token;
}

// Every way to cut a token into two tokens, in the order of ranks: tiktoken joins any of them.
void AddMerges(Vocabulary& vocabulary) {
  absl::flat_hash_map<std::string_view, TokenId> rank_of;
  rank_of.reserve(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!vocabulary.tokens[id].empty()) {
      rank_of[vocabulary.tokens[id]] = static_cast<TokenId>(id);
    }
  }
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string_view bytes = vocabulary.tokens[id];
    const size_t first = vocabulary.merges.size();
    for (size_t cut = 1; cut < bytes.size(); ++cut) {
      const auto left = rank_of.find(bytes.substr(0, cut));
      const auto right = rank_of.find(bytes.substr(cut));
      if (left == rank_of.end() || right == rank_of.end()) continue;
      vocabulary.merges.push_back({left->second, right->second, static_cast<TokenId>(id)});
    }
    // As Hugging Face's converter orders them, so that its reading of the list differs least.
    std::sort(vocabulary.merges.begin() + static_cast<std::ptrdiff_t>(first),
              vocabulary.merges.end(), [](const Merge& a, const Merge& b) {
                return std::pair(a.left, a.right) < std::pair(b.left, b.right);
              });
  }
}

}  // namespace

namespace {

// Llama 3's 256 special tokens, which follow its ranks: those with a name at fixed places, and
// reserved ones numbered through between and behind them.
RankFileOptions Llama3() {
  constexpr TokenId kFirst = 128000;
  constexpr int kCount = 256;
  const absl::flat_hash_map<int, std::string> named = {{0, "<|begin_of_text|>"},
                                                       {1, "<|end_of_text|>"},
                                                       {6, "<|start_header_id|>"},
                                                       {7, "<|end_header_id|>"},
                                                       {9, "<|eot_id|>"}};
  RankFileOptions options{Pattern::kCl100k, {}};
  int reserved = 0;
  for (int i = 0; i < kCount; ++i) {
    const auto found = named.find(i);
    options.special.push_back(
        {kFirst + i, found != named.end()
                         ? found->second
                         : absl::StrCat("<|reserved_special_token_", reserved++, "|>")});
  }
  return options;
}

}  // namespace

absl::StatusOr<RankFileOptions> PublishedEncoding(std::string_view name) {
  if (name == "llama3") return Llama3();
  // p50k_base has further ranks behind <|endoftext|>, of runs of spaces.
  if (name == "gpt2" || name == "r50k_base" || name == "p50k_base") {
    return RankFileOptions{Pattern::kGpt2, {{50256, "<|endoftext|>"}}};
  }
  if (name == "cl100k_base") {
    return RankFileOptions{Pattern::kCl100k,
                           {{100257, "<|endoftext|>"},
                            {100258, "<|fim_prefix|>"},
                            {100259, "<|fim_middle|>"},
                            {100260, "<|fim_suffix|>"},
                            {100276, "<|endofprompt|>"}}};
  }
  if (name == "o200k_base") {
    return RankFileOptions{Pattern::kO200k,
                           {{199999, "<|endoftext|>"}, {200018, "<|endofprompt|>"}}};
  }
  return absl::InvalidArgumentError(absl::StrCat("encoding is \"", absl::CHexEscape(AbslView(name)),
                                                 "\"; known are gpt2 (r50k_base), p50k_base, "
                                                 "cl100k_base, o200k_base and llama3"));
}

absl::StatusOr<Vocabulary> ParseTiktokenRanks(std::string_view file,
                                              const RankFileOptions& options) {
  Vocabulary vocabulary;
  vocabulary.pattern = options.pattern;
  vocabulary.added = options.special;
  // Their ids need not follow the ranks: readers of tokenizer.json take an id from the vocabulary.
  for (AddedToken& token : vocabulary.added) token.in_vocab = true;
  vocabulary.ignore_merges = true;
  vocabulary.equal_merges = true;
  absl::flat_hash_map<std::string, size_t> line_of;
  size_t number = 0;
  while (!file.empty()) {
    ++number;
    const size_t end = std::min(file.find('\n'), file.size());
    std::string_view line = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    FLOE_ASSIGN_OR_RETURN(RankedToken token, ReadLine(line, number));
    const auto rank = static_cast<size_t>(token.rank);
    if (vocabulary.tokens.size() <= rank) vocabulary.tokens.resize(rank + 1);
    if (!vocabulary.tokens[rank].empty()) {
      return Bad(number, absl::StrCat("the rank ", rank, " stands on another line already"));
    }
    const auto [known, is_new] = line_of.emplace(token.bytes, number);
    if (!is_new) return Bad(number, absl::StrCat("repeats the token of line ", known->second));
    vocabulary.tokens[rank] = std::move(token.bytes);
  }
  // A line of ten bytes must not ask for a vocabulary of millions.
  if (vocabulary.tokens.size() > 2 * line_of.size() + kMaxHoles) {
    return absl::InvalidArgumentError(
        absl::StrCat("the ranks go up to ", vocabulary.tokens.size() - 1, ", but there are ",
                     line_of.size(), " tokens; a rank file numbers its tokens from 0 on"));
  }
  AddMerges(vocabulary);
  FLOE_RETURN_IF_ERROR(ValidateVocabulary(vocabulary));
  return vocabulary;
}

}  // namespace floe::tokenizer
