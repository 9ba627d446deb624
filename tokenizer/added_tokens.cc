#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "tokenizer/pretokenizer.h"
#include "tokenizer/unicode/char_class.h"
#include "tokenizer/unicode/nfc.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {

bool IsWholeWord(std::string_view text, size_t begin, size_t end) {
  return !(begin > 0 && IsWordCharacter(ReadUtf8Before(text, begin).code_point)) &&
         !(end < text.size() && IsWordCharacter(ReadUtf8(text, end).code_point));
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens, bool nfc) : nfc_(nfc) {
  // Of two whose normal forms are one, special ones come first.
  for (const bool special : {true, false}) {
    for (const AddedToken& token : tokens) {
      if (token.special != special) continue;
      std::string text = nfc && token.normalized ? ToNfc(token.content) : token.content;
      const auto first = static_cast<uint8_t>(text[0]);
      (token.normalized ? normalized_ : as_it_is_)[first].push_back({std::move(text), &token});
      any_normalized_ |= token.normalized;
    }
  }
  for (ByFirstByte* all : {&as_it_is_, &normalized_}) {
    for (std::vector<Wanted>& some : *all) {
      std::ranges::stable_sort(some, std::greater(),
                               [](const Wanted& wanted) { return wanted.text.size(); });
    }
  }
}

const AddedTokenFinder::Wanted* AddedTokenFinder::Longest(const ByFirstByte& wanted,
                                                          std::string_view text, size_t begin,
                                                          Trusted trusted) {
  for (const Wanted& one : wanted[static_cast<uint8_t>(text[begin])]) {
    if (text.substr(begin).starts_with(one.text) && trusted(begin, one.text.size())) return &one;
  }
  return nullptr;
}

void AddedTokenFinder::Split(
    const ByFirstByte& wanted, std::string_view text, Trusted trusted,
    absl::FunctionRef<void(size_t begin, size_t end, const AddedToken*)> visit) {
  size_t visited = 0, white_end = 0;
  for (size_t at = 0; at < text.size();) {
    const Wanted* found = Longest(wanted, text, at, trusted);
    if (found == nullptr) {
      ++at;
      continue;
    }
    const AddedToken& token = *found->token;
    size_t begin = at, end = at + found->text.size();
    at = end;
    if (token.single_word && !IsWholeWord(text, begin, end)) continue;
    // White space is gone over once, however many tokens are made of it.
    if (token.lstrip) {
      begin = std::max(begin, visited) - visited;
      begin = visited + WhiteSpaceBegin(text.substr(visited), begin);
    }
    if (token.rstrip) {
      if (end > white_end) white_end = WhiteSpaceEnd(text, end);
      end = white_end;
    }
    end = std::max(begin, end);
    if (visited < begin) visit(visited, begin, nullptr);
    // Of white space that the token before took along nothing is left, and no id.
    if (begin < end) visit(begin, end, &token);
    // Not the further one: behind a token that was white space of the one before it, the rest of
    // that white space is text again.
    visited = end;
  }
  if (visited < text.size()) visit(visited, text.size(), nullptr);
}

size_t AddedTokenFinder::VisitOrdinary(std::string_view text, size_t begin, size_t normal_begin,
                                       Trusted trusted, Visit visit) const {
  std::string_view normal = text;
  std::string storage;
  std::vector<NfcCut> cuts;
  if (nfc_ && !IsPlainlyNfc(text)) {
    storage = any_normalized_ ? ToNfc(text, cuts) : ToNfc(text);
    normal = storage;
  }
  if (!any_normalized_) {
    visit({normal, nullptr, normal_begin + normal.size()});
    return normal.size();
  }
  const auto of_the_text = [&](size_t at, size_t length) {
    if (cuts.empty()) return trusted(begin + at, length);
    // The last cut at or before the match, and the first at or behind its end.
    const auto first =
        std::ranges::upper_bound(cuts, at, std::less(), [](NfcCut cut) { return cut.normalized; }) -
        1;
    const auto last = std::ranges::lower_bound(cuts, at + length, std::less(),
                                               [](NfcCut cut) { return cut.normalized; });
    return trusted(begin + first->original, last->original - first->original);
  };
  Split(normalized_, normal, of_the_text, [&](size_t from, size_t to, const AddedToken* token) {
    visit({normal.substr(from, to - from), token, normal_begin + to});
  });
  return normal.size();
}

void AddedTokenFinder::ForEachPart(std::string_view text, Trusted trusted, Visit visit) const {
  size_t done = 0, normal_done = 0;
  Split(as_it_is_, text, trusted, [&](size_t begin, size_t end, const AddedToken* token) {
    const std::string_view part = text.substr(begin, end - begin);
    if (token == nullptr) {
      normal_done += VisitOrdinary(part, begin, normal_done, trusted, visit);
    } else {
      normal_done = normal_done + end - done;
      visit({part, token, normal_done});
    }
    done = end;
  });
}

}  // namespace floe::tokenizer
