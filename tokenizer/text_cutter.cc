#include "tokenizer/text_cutter.h"

#include <algorithm>
#include <utility>

#include "tokenizer/unicode/char_class.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {

bool IsWordOrNumber(char32_t c) {
  const CharClass kind = ClassOf(c);
  return kind == CharClass::kLetter || kind == CharClass::kNumber;
}

// Letters and marks are all that stands on a side of a word.
bool MayFollowACut(char32_t c) {
  return c != kNotUtf8 && c != '\'' && !IsWordOrNumber(c) && SideOf(c) == WordSide::kNone;
}

// Whether a letter or number ends at `end`.
bool EndsAWord(std::string_view text, size_t end) {
  return IsWordOrNumber(ReadUtf8Before(text, end).code_point);
}

}  // namespace

size_t LastCertainCut(std::string_view text) {
  for (size_t at = text.size(); at-- > 1;) {
    if ((text[at] & 0xC0) == 0x80) continue;
    if (MayFollowACut(ReadUtf8(text, at).code_point) && EndsAWord(text, at)) return at;
  }
  return 0;
}

std::string TextCutter::Push(std::string_view bytes) {
  // Only what is new can hold a later cut: what was there has none but at its very end.
  const size_t looked_at = waiting_.size() - std::min<size_t>(waiting_.size(), 8);
  waiting_ += bytes;
  const size_t cut = LastCertainCut(std::string_view(waiting_).substr(looked_at));
  if (cut == 0) return "";
  std::string ready = waiting_.substr(0, looked_at + cut);
  waiting_.erase(0, ready.size());
  return ready;
}

std::string TextCutter::Flush() { return std::exchange(waiting_, {}); }

std::vector<std::string_view> CutIntoParts(std::string_view text, size_t bytes) {
  std::vector<std::string_view> parts;
  while (text.size() > bytes) {
    size_t cut = 0;
    // Looking back over one window at a time keeps this linear; they overlap by what a cut needs.
    for (size_t begin = 0; cut == 0 && begin < text.size(); begin += bytes) {
      const size_t from = begin - std::min<size_t>(begin, 8);
      cut = LastCertainCut(text.substr(from, begin + bytes - from));
      if (cut != 0) cut += from;
    }
    if (cut == 0) break;
    parts.push_back(text.substr(0, cut));
    text.remove_prefix(cut);
  }
  if (!text.empty()) parts.push_back(text);
  return parts;
}

}  // namespace floe::tokenizer
