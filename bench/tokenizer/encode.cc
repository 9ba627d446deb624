// floe-bench-encode: the tokenizer alone, for comparisons with others (exactness.mjs).
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "bench/program/program.h"
#include "tokenizer/tiktoken_ranks.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/trainer.h"
#include "tokenizer/unicode/nfc.h"

namespace floe::tokenizer {
namespace {

constexpr char kWords[] = R"(Words:
  convert ENCODING RANKS OUT.json   a tiktoken rank file as tokenizer.json
  train TEXT VOCAB_SIZE OUT.json    a tokenizer of our own
  rewrite FILE.json OUT.json        what we write of a tokenizer.json that we read
  encode ENCODING RANKS             stdin: a text a line, in base64; stdout: its ids a line
  encode FILE.json                  the same with a tokenizer.json
  encode-trusted FILE.json          the same, and written special tokens become their ids
  nfc                               stdin: a text a line, in base64; stdout: its NFC, in base64

ENCODING is gpt2, cl100k_base, o200k_base, or pattern:cl100k for ranks without special tokens.)";

absl::StatusOr<std::unique_ptr<const Tokenizer>> FromRanks(std::string_view encoding,
                                                           const char* path) {
  RankFileOptions options;
  if (encoding.starts_with("pattern:")) {
    const auto pattern = PatternFromName(encoding.substr(8));
    if (!pattern) return absl::InvalidArgumentError("no such pattern");
    options.pattern = *pattern;
  } else {
    FLOE_ASSIGN_OR_RETURN(options, PublishedEncoding(encoding));
  }
  FLOE_ASSIGN_OR_RETURN(const std::string file, ReadFile(path));
  FLOE_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseTiktokenRanks(file, options));
  return Tokenizer::Create(std::move(vocabulary));
}

absl::StatusOr<std::unique_ptr<const Tokenizer>> Trained(const char* path, const char* size) {
  TrainOptions options;
  if (!absl::SimpleAtoi(size, &options.vocab_size)) {
    return absl::InvalidArgumentError("VOCAB_SIZE is no number");
  }
  FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  FLOE_ASSIGN_OR_RETURN(Trainer trainer, Trainer::Create(std::move(options)));
  trainer.Add(text);
  FLOE_ASSIGN_OR_RETURN(Vocabulary vocabulary, trainer.Train());
  return Tokenizer::Create(std::move(vocabulary));
}

// Whether a text's ids say all of it.
bool IsLossless(const Vocabulary& vocabulary) {
  return !vocabulary.normalize_nfc && std::ranges::none_of(vocabulary.added, [](const auto& token) {
    return token.lstrip || token.rstrip;
  });
}

absl::Status EncodeLines(const Tokenizer& tokenizer, bool trusted = false) {
  std::ios::sync_with_stdio(false);
  const bool lossless = IsLossless(tokenizer.vocabulary());
  for (std::string line; std::getline(std::cin, line);) {
    std::string text;
    if (!absl::Base64Unescape(line, &text)) return absl::InvalidArgumentError("no base64");
    const std::vector<TokenId> ids =
        trusted ? tokenizer.EncodeWithSpecials(text) : tokenizer.Encode(text);
    FLOE_ASSIGN_OR_RETURN(const std::string back, tokenizer.Decode(ids));
    if (back != text && lossless) {
      return absl::InternalError(absl::StrCat("does not come back: ", line));
    }
    std::cout << absl::StrJoin(ids, " ") << "\n";
  }
  return absl::OkStatus();
}

absl::Status NormalizeLines() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    std::string text;
    if (!absl::Base64Unescape(line, &text)) return absl::InvalidArgumentError("no base64");
    std::cout << absl::Base64Escape(ToNfc(text)) << "\n";
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>& words) {
  if (words.size() == 1 && words[0] == "nfc") return NormalizeLines();
  if (words.size() == 4 && words[0] == "convert") {
    FLOE_ASSIGN_OR_RETURN(const auto tokenizer, FromRanks(words[1], words[2].c_str()));
    return WriteFileAtomically(words[3], tokenizer->ToJson());
  }
  if (words.size() == 4 && words[0] == "train") {
    FLOE_ASSIGN_OR_RETURN(const auto tokenizer, Trained(words[1].c_str(), words[2].c_str()));
    return WriteFileAtomically(words[3], tokenizer->ToJson());
  }
  if (words.size() == 3 && words[0] == "rewrite") {
    FLOE_ASSIGN_OR_RETURN(const std::string json, ReadFile(words[1]));
    FLOE_ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Load(json));
    return WriteFileAtomically(words[2], tokenizer->ToJson());
  }
  if (words.size() == 3 && words[0] == "encode") {
    FLOE_ASSIGN_OR_RETURN(const auto tokenizer, FromRanks(words[1], words[2].c_str()));
    return EncodeLines(*tokenizer);
  }
  if (words.size() == 2 && (words[0] == "encode" || words[0] == "encode-trusted")) {
    FLOE_ASSIGN_OR_RETURN(const std::string json, ReadFile(words[1]));
    FLOE_ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Load(json));
    return EncodeLines(*tokenizer, words[0] == "encode-trusted");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::StrJoin(words, " "), "\" is none of them.\n", kWords));
}

}  // namespace
}  // namespace floe::tokenizer

int main(int argc, char** argv) {
  std::vector<std::string> words;
  CLI::App app("The tokenizer alone, for comparisons with others", "floe-bench-encode");
  app.add_option("words", words, "What to do, see below")->required();
  app.footer(floe::tokenizer::kWords);
  return floe::bench::Main(app, argc, argv, [&] { return floe::tokenizer::Run(words); });
}
