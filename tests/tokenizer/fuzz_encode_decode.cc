// Any bytes as text, by every pattern, with NFC and without: they come back unchanged (with NFC, in
// that form), streamed they are the repaired whole, cut they have the ids of the whole, and they
// hold an added token only where the text is trusted.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/fuzzing.h"
#include "tests/tokenizer/sample_tokenizer.h"
#include "tokenizer/text_cutter.h"
#include "tokenizer/unicode/nfc.h"

namespace {

using namespace floe::tokenizer;
using floe::test::Require;

constexpr TokenId kTakesAlong = 405;

std::vector<std::unique_ptr<const Tokenizer>> AllKinds() {
  std::vector<std::unique_ptr<const Tokenizer>> all;
  for (const bool nfc : {false, true}) {
    for (const Pattern pattern :
         {Pattern::kGpt2, Pattern::kCl100k, Pattern::kQwen2, Pattern::kO200k}) {
      Vocabulary vocabulary = TrainSample(pattern);
      vocabulary.normalize_nfc = nfc;
      vocabulary.added.push_back({.id = 403, .content = "<|w|>", .single_word = true});
      vocabulary.added.push_back({.id = 404, .content = "<|n\u0301|>", .normalized = true});
      vocabulary.added.push_back(
          {.id = kTakesAlong, .content = "<|lr|>", .lstrip = true, .rstrip = true});
      all.push_back(Tokenizer::Create(std::move(vocabulary)).value());
    }
  }
  return all;
}

void CheckStream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                 std::string_view whole) {
  StreamDecoder decoder(tokenizer);
  std::string streamed;
  for (const TokenId id : ids) {
    Require(!tokenizer.IsSpecial(id));
    streamed += decoder.Push(id).value();
  }
  Require(streamed + decoder.Flush() == ReplaceInvalidUtf8(whole));
}

// Pieces as long as the text itself says.
void CheckCuts(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, std::string_view text) {
  TextCutter cutter;
  std::vector<TokenId> cut;
  for (size_t at = 0; at < text.size();) {
    const std::string_view piece = text.substr(at, 1 + static_cast<uint8_t>(text[at]) % 16);
    tokenizer.EncodeTo(cutter.Push(piece), cut);
    at += piece.size();
  }
  tokenizer.EncodeTo(cutter.Flush(), cut);
  Require(cut == ids);
  std::vector<TokenId> parts;
  for (const std::string_view part : CutIntoParts(text, 16)) tokenizer.EncodeTo(part, parts);
  Require(parts == ids);
}

void CheckSpecials(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                   std::string_view text) {
  Require(tokenizer.EncodeWithSpecials(text, [](size_t, size_t) { return false; }) == ids);
  const std::vector<TokenId> trusted = tokenizer.EncodeWithSpecials(text);
  const bool any = std::any_of(trusted.begin(), trusted.end(),
                               [&](TokenId id) { return tokenizer.IsSpecial(id); });
  if (!any) Require(trusted == ids);
  const std::string decoded = tokenizer.Decode(trusted).value();
  std::vector<uint64_t> ends;
  Require(tokenizer.EncodeWithSpecials(text, ends) == trusted && ends.size() == trusted.size());
  Require(std::is_sorted(ends.begin(), ends.end()));
  if (!tokenizer.vocabulary().normalize_nfc) {
    Require(ends.empty() ? text.empty() : ends.back() == text.size());
    if (std::ranges::find(trusted, kTakesAlong) == trusted.end()) Require(decoded == text);
  }
  if (any) Require(decoded.find("<|") != std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto& tokenizers = *new std::vector(AllKinds());
  const std::string_view text = floe::test::AsText(data, size);
  for (const auto& tokenizer : tokenizers) {
    const std::vector<TokenId> ids = tokenizer->Encode(text);
    const bool nfc = tokenizer->vocabulary().normalize_nfc;
    const std::string whole = nfc ? ToNfc(text) : std::string(text);
    Require(tokenizer->Decode(ids).value() == whole);
    Require(tokenizer->Count(text) == ids.size());
    CheckStream(*tokenizer, ids, whole);
    CheckCuts(*tokenizer, ids, text);
    CheckSpecials(*tokenizer, ids, text);
  }
  return 0;
}
