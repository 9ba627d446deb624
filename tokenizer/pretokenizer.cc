#include "tokenizer/pretokenizer.h"

#include <array>
#include <cstdint>
#include <utility>

#include "tokenizer/unicode/char_class.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer {
namespace {

constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100kRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::string_view kO200kRegex =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr Pattern kPatterns[] = {Pattern::kGpt2, Pattern::kCl100k, Pattern::kQwen2,
                                 Pattern::kO200k};

struct Symbol {
  CharClass kind;
  uint8_t length;  // in bytes
};

constexpr std::array<CharClass, 128> MakeAsciiClasses() {
  std::array<CharClass, 128> classes{};
  for (int c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool number = c >= '0' && c <= '9';
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    classes[c] = letter   ? CharClass::kLetter
                 : number ? CharClass::kNumber
                 : space  ? CharClass::kSpace
                          : CharClass::kOther;
  }
  return classes;
}
constexpr std::array<CharClass, 128> kAsciiClasses = MakeAsciiClasses();

inline Symbol SymbolAt(std::string_view text, size_t position) {
  const auto byte = static_cast<uint8_t>(text[position]);
  if (byte < 0x80) return {kAsciiClasses[byte], 1};
  const Utf8Char c = ReadUtf8(text, position);
  if (c.code_point == kNotUtf8) return {CharClass::kOther, 1};
  return {ClassOf(c.code_point), static_cast<uint8_t>(c.length)};
}

// The end of the run of symbols of one class that starts at `position` (maybe empty).
size_t RunEnd(std::string_view text, size_t position, CharClass kind) {
  while (position < text.size()) {
    const Symbol symbol = SymbolAt(text, position);
    if (symbol.kind != kind) break;
    position += symbol.length;
  }
  return position;
}

bool IsLineBreak(char c) { return c == '\r' || c == '\n'; }

// The length of `'s|'t|'re|'ve|'m|'ll|'d` at `position`, where an apostrophe stands; 0 when there
// is none. Under case folding, U+017F (long s, C5 BF) is an s.
size_t ContractionLength(std::string_view text, size_t position, bool ignore_case) {
  const auto letter = [&](size_t offset) -> char {
    if (position + offset >= text.size()) return 0;
    const char c = text[position + offset];
    return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  switch (letter(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return letter(2) == 'e' ? 3 : 0;
    case 'l':
      return letter(2) == 'l' ? 3 : 0;
    case '\xC5':
      return ignore_case && letter(2) == '\xBF' ? 3 : 0;
    default:
      return 0;
  }
}

// `\s+(?!\S)|\s+` at a space: a run of spaces leaves its last one to the piece that follows.
size_t SpacesEnd(std::string_view text, size_t begin) {
  size_t last = begin;
  size_t end = begin;
  while (end < text.size()) {
    const Symbol symbol = SymbolAt(text, end);
    if (symbol.kind != CharClass::kSpace) break;
    last = end;
    end += symbol.length;
  }
  return end == text.size() || last == begin ? end : last;
}

size_t Gpt2End(std::string_view text, size_t begin) {
  if (text[begin] == '\'') {
    if (const size_t length = ContractionLength(text, begin, false)) return begin + length;
  }
  const size_t start =
      text[begin] == ' ' && begin + 1 < text.size() ? begin + 1 : begin;  // the optional space
  const Symbol symbol = SymbolAt(text, start);
  if (symbol.kind != CharClass::kSpace) return RunEnd(text, start + symbol.length, symbol.kind);
  return SpacesEnd(text, begin);
}

// ` ?[^\s\p{L}\p{N}]+[\r\n]*`, where the first of [^\s\p{L}\p{N}] stands at `position`.
size_t PunctuationEnd(std::string_view text, size_t position) {
  size_t end = RunEnd(text, position, CharClass::kOther);
  while (end < text.size() && IsLineBreak(text[end])) ++end;
  return end;
}

// `\s*[\r\n]+|\s+(?!\S)|\s+` at a space: up to the last line break of the run when there is one.
size_t SpacesOrLinesEnd(std::string_view text, size_t begin) {
  size_t after_break = begin;
  for (size_t i = begin; i < text.size();) {
    const Symbol symbol = SymbolAt(text, i);
    if (symbol.kind != CharClass::kSpace) break;
    i += symbol.length;
    if (IsLineBreak(text[i - 1])) after_break = i;
  }
  return after_break != begin ? after_break : SpacesEnd(text, begin);
}

// `\p{N}{1,max}`, whose first number ends at `next`.
size_t NumberEnd(std::string_view text, size_t next, int max_digits) {
  for (int digits = 1; digits < max_digits && next < text.size(); ++digits) {
    const Symbol digit = SymbolAt(text, next);
    if (digit.kind != CharClass::kNumber) break;
    next += digit.length;
  }
  return next;
}

size_t Cl100kEnd(std::string_view text, size_t begin, int max_digits) {
  const char first = text[begin];
  if (first == '\'') {
    if (const size_t length = ContractionLength(text, begin, true)) return begin + length;
  }
  const Symbol symbol = SymbolAt(text, begin);
  size_t next = begin + symbol.length;
  if (symbol.kind == CharClass::kLetter) return RunEnd(text, next, CharClass::kLetter);
  if (symbol.kind == CharClass::kNumber) return NumberEnd(text, next, max_digits);
  if (next < text.size() && !IsLineBreak(first)) {
    const Symbol following = SymbolAt(text, next);
    if (following.kind == CharClass::kLetter) {
      return RunEnd(text, next + following.length, CharClass::kLetter);
    }
    if (first == ' ' && following.kind == CharClass::kOther) return PunctuationEnd(text, next);
  }
  if (symbol.kind == CharClass::kOther) return PunctuationEnd(text, begin);
  return SpacesOrLinesEnd(text, begin);
}

struct Sided {
  WordSide side;
  uint8_t length;  // in bytes
};

inline Sided SideAt(std::string_view text, size_t position) {
  const auto byte = static_cast<uint8_t>(text[position]);
  if (byte >= 'a' && byte <= 'z') return {WordSide::kBehind, 1};
  if (byte >= 'A' && byte <= 'Z') return {WordSide::kFront, 1};
  if (byte < 0x80) return {WordSide::kNone, 1};
  const Utf8Char c = ReadUtf8(text, position);
  if (c.code_point == kNotUtf8) return {WordSide::kNone, 1};
  return {SideOf(c.code_point), static_cast<uint8_t>(c.length)};
}

// Front* Behind+ from `begin`, as a backtracking engine finds it; `begin` when there is none. Where
// no symbol of behind follows the run of front, the run gives back its end up to its last symbol
// of both sides.
size_t LowerWordEnd(std::string_view text, size_t begin) {
  size_t end = begin, after_both = begin;
  while (end < text.size()) {
    const Sided symbol = SideAt(text, end);
    if (symbol.side == WordSide::kBehind) break;
    if (symbol.side == WordSide::kNone) return after_both;
    end += symbol.length;
    if (symbol.side == WordSide::kBoth) after_both = end;
  }
  if (end == text.size()) return after_both;
  while (end < text.size()) {
    const Sided symbol = SideAt(text, end);
    if (symbol.side != WordSide::kBehind && symbol.side != WordSide::kBoth) break;
    end += symbol.length;
  }
  return end;
}

// Front+ (Behind* is empty wherever LowerWordEnd has found nothing).
size_t UpperWordEnd(std::string_view text, size_t begin) {
  size_t end = begin;
  while (end < text.size()) {
    const Sided symbol = SideAt(text, end);
    if (symbol.side != WordSide::kFront && symbol.side != WordSide::kBoth) break;
    end += symbol.length;
  }
  return end;
}

// The two alternatives of words, each with the symbol in front of it and without; `begin` when none
// of them matches. A contraction belongs to the word before it.
size_t O200kWordEnd(std::string_view text, size_t begin, const Symbol& symbol) {
  const bool may_lead = symbol.kind != CharClass::kLetter && symbol.kind != CharClass::kNumber &&
                        !IsLineBreak(text[begin]);
  const size_t behind = begin + symbol.length;
  for (const auto word_end : {LowerWordEnd, UpperWordEnd}) {
    for (const size_t start : {may_lead ? behind : begin, begin}) {
      const size_t end = word_end(text, start);
      if (end == start) continue;
      if (end == text.size() || text[end] != '\'') return end;
      return end + ContractionLength(text, end, true);
    }
  }
  return begin;
}

size_t O200kEnd(std::string_view text, size_t begin) {
  const Symbol symbol = SymbolAt(text, begin);
  if (const size_t end = O200kWordEnd(text, begin, symbol); end != begin) return end;
  if (symbol.kind == CharClass::kNumber) return NumberEnd(text, begin + symbol.length, 3);
  const bool spaced = text[begin] == ' ' && begin + 1 < text.size() &&
                      SymbolAt(text, begin + 1).kind == CharClass::kOther;
  if (symbol.kind != CharClass::kOther && !spaced) return SpacesOrLinesEnd(text, begin);
  size_t end = RunEnd(text, spaced ? begin + 1 : begin, CharClass::kOther);
  while (end < text.size() && (IsLineBreak(text[end]) || text[end] == '/')) ++end;
  return end;
}

}  // namespace

std::string_view PatternName(Pattern pattern) {
  switch (pattern) {
    case Pattern::kGpt2:
      return "gpt2";
    case Pattern::kCl100k:
      return "cl100k";
    case Pattern::kQwen2:
      return "qwen2";
    case Pattern::kO200k:
      return "o200k";
  }
  return "unknown";
}

std::string_view PatternRegex(Pattern pattern) {
  switch (pattern) {
    case Pattern::kGpt2:
      return kGpt2Regex;
    case Pattern::kCl100k:
      return kCl100kRegex;
    case Pattern::kQwen2:
      return kQwen2Regex;
    case Pattern::kO200k:
      return kO200kRegex;
  }
  return "";
}

std::optional<Pattern> PatternFromName(std::string_view name) {
  for (const Pattern pattern : kPatterns) {
    if (name == PatternName(pattern)) return pattern;
  }
  return std::nullopt;
}

std::optional<Pattern> PatternFromRegex(std::string_view regex) {
  for (const Pattern pattern : kPatterns) {
    if (regex == PatternRegex(pattern)) return pattern;
  }
  return std::nullopt;
}

size_t PieceEnd(Pattern pattern, std::string_view text, size_t begin) {
  switch (pattern) {
    case Pattern::kGpt2:
      return Gpt2End(text, begin);
    case Pattern::kCl100k:
      return Cl100kEnd(text, begin, 3);
    case Pattern::kQwen2:
      return Cl100kEnd(text, begin, 1);
    case Pattern::kO200k:
      return O200kEnd(text, begin);
  }
  return text.size();
}

size_t WhiteSpaceEnd(std::string_view text, size_t begin) {
  return RunEnd(text, begin, CharClass::kSpace);
}

size_t WhiteSpaceBegin(std::string_view text, size_t end) {
  while (end > 0) {
    const Utf8Char c = ReadUtf8Before(text, end);
    if (ClassOf(c.code_point) != CharClass::kSpace) break;
    end -= c.length;
  }
  return end;
}

std::vector<std::string_view> SplitPieces(Pattern pattern, std::string_view text) {
  std::vector<std::string_view> pieces;
  pieces.reserve(text.size() / 4 + 1);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = PieceEnd(pattern, text, begin);
    pieces.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

}  // namespace floe::tokenizer
