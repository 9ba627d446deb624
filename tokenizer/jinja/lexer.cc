#include "tokenizer/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "tokenizer/jinja/python_text.h"
#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer::jinja {
namespace {

constexpr size_t kNowhere = std::string_view::npos;
// Longer ones first.
constexpr std::array<std::string_view, 25> kOperators = {
    "==", "!=", ">=", "<=", "//", "**", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ","};

std::string WithPlainNewlines(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    text.push_back(source[i] == '\r' ? '\n' : source[i]);
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

bool IsNameStart(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

// Digits of an escape in a base, and how many at most.
struct Escape {
  int base;
  size_t most;
  bool exact;
};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (at_ < source_.size()) FLOE_RETURN_IF_ERROR(Data());
    Push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  std::string_view Rest() const { return source_.substr(at_); }
  void Push(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  void Advance(size_t bytes) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + bytes),
                                         '\n'));
    at_ += bytes;
    if (bytes > 0) line_starting_ = source_[at_ - 1] == '\n';
  }
  void SkipSpace() {
    size_t end = at_;
    while (end < source_.size()) {
      const Utf8Char c = ReadUtf8(source_, end);
      if (!IsSpace(c.code_point)) break;
      end += c.length;
    }
    Advance(end - at_);
  }
  absl::Status Error(std::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", line_, " of the chat template: ", AbslView(what)));
  }

  // Text up to the next tag, and that tag.
  absl::Status Data() {
    size_t begin = at_;
    while (true) {
      begin = source_.find('{', begin);
      if (begin == kNowhere || begin + 1 >= source_.size()) begin = source_.size();
      if (begin == source_.size()) break;
      const char next = source_[begin + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++begin;
    }
    std::string_view data = source_.substr(at_, begin - at_);
    if (begin == source_.size()) {
      if (!data.empty()) Push(TokenKind::kData, std::string(data));
      Advance(data.size());
      return absl::OkStatus();
    }
    const char tag = source_[begin + 1];
    const char sign = begin + 2 < source_.size() ? source_[begin + 2] : '\0';
    const size_t raw = data.size();
    if (sign == '-') {
      data = data.substr(0, Strip(Text(data, Origin::kTemplate), false, true, std::nullopt).size());
    } else if (sign != '+' && tag != '{') {
      const size_t newline = data.rfind('\n');
      const size_t line_begin = newline == kNowhere ? 0 : newline + 1;
      const Text line(data.substr(line_begin), Origin::kTemplate);
      if ((line_begin > 0 || line_starting_) &&
          Strip(line, true, false, std::nullopt).size() == 0) {
        data = data.substr(0, line_begin);
      }
    }
    if (!data.empty()) Push(TokenKind::kData, std::string(data));
    Advance(raw + 2 + (sign == '-' || sign == '+' ? 1 : 0));
    return tag == '#' ? Comment() : Tag(tag == '{');
  }

  // The end of a tag was found: what -, + and trim_blocks make of the text behind it.
  void Close(char sign, bool trims) {
    Advance(2 + (sign != '\0' ? 1 : 0));
    if (sign == '-') {
      SkipSpace();
    } else if (sign == '\0' && trims && Rest().starts_with('\n')) {
      Advance(1);
    }
  }

  absl::Status Comment() {
    const size_t end = source_.find("#}", at_);
    if (end == kNowhere) return Error("a comment is not closed by #}");
    const char before = end > at_ ? source_[end - 1] : '\0';
    const char sign = before == '-' || before == '+' ? before : '\0';
    Advance(end - at_ - (sign != '\0' ? 1 : 0));
    Close(sign, true);
    return absl::OkStatus();
  }

  absl::Status Tag(bool variable) {
    Push(variable ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "");
    const std::string end = variable ? "}}" : "%}";
    std::vector<char> open;
    while (true) {
      SkipSpace();
      if (at_ == source_.size()) return Error(absl::StrCat("a tag is not closed by ", end));
      if (open.empty()) {
        const char c = source_[at_];
        const bool signs = c == '-' || (c == '+' && !variable);
        if (Rest().substr(signs ? 1 : 0).starts_with(end)) {
          Push(variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "");
          Close(signs ? c : '\0', !variable);
          return absl::OkStatus();
        }
      }
      FLOE_RETURN_IF_ERROR(Piece(open));
    }
  }

  // One token inside a tag.
  absl::Status Piece(std::vector<char>& open) {
    const char c = source_[at_];
    if (c == '\'' || c == '"') return String();
    if (IsNameStart(c)) {
      size_t length = 1;
      while (length < Rest().size() && IsNamePart(Rest()[length])) ++length;
      Push(TokenKind::kName, std::string(Rest().substr(0, length)));
      Advance(length);
      return absl::OkStatus();
    }
    if (IsDigit(c)) return Number();
    for (const std::string_view known : kOperators) {
      if (!Rest().starts_with(known)) continue;
      if (c == '(' || c == '[' || c == '{') open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
      if (c == ')' || c == ']' || c == '}') {
        if (open.empty() || open.back() != c) {
          return Error(absl::StrCat("a '", std::string(1, c), "' closes nothing"));
        }
        open.pop_back();
      }
      Push(TokenKind::kOperator, std::string(known));
      Advance(known.size());
      return absl::OkStatus();
    }
    return Error(absl::StrCat("'", absl::CHexEscape(std::string(1, c)), "' has no meaning here"));
  }

  absl::Status Number() {
    size_t length = 0;
    bool real = false;
    const auto digits = [&] {
      while (length < Rest().size() && (IsDigit(Rest()[length]) || Rest()[length] == '_')) ++length;
    };
    const auto digit_at = [&](size_t i) { return i < Rest().size() && IsDigit(Rest()[i]); };
    digits();
    // In `items.0.1` there is no float.
    const bool index = !tokens_.empty() && tokens_.back().kind == TokenKind::kOperator &&
                       tokens_.back().text == ".";
    if (!index && Rest().substr(length).starts_with('.') && digit_at(length + 1)) {
      real = true;
      ++length;
      digits();
    }
    if (length < Rest().size() && IsNamePart(Rest()[length])) {
      return Error("a number that is not written in decimal digits alone is not supported");
    }
    std::string text(Rest().substr(0, length));
    std::erase(text, '_');
    Push(real ? TokenKind::kFloat : TokenKind::kInteger, text);
    Advance(length);
    return absl::OkStatus();
  }

  absl::Status String() {
    const char quote = source_[at_];
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return Error("a string is not closed");
    FLOE_ASSIGN_OR_RETURN(std::string value, Unescape(source_.substr(at_ + 1, end - at_ - 1)));
    Push(TokenKind::kString, std::move(value));
    Advance(end + 1 - at_);
    return absl::OkStatus();
  }

  // Python's escapes; those that it does not know stay as they are.
  absl::StatusOr<std::string> Unescape(std::string_view text) const {
    constexpr std::string_view kPlain = "\\'\"abfnrtv", kMeaning = "\\'\"\a\b\f\n\r\t\v";
    std::string value;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 == text.size()) {
        value.push_back(text[i]);
        continue;
      }
      const char c = text[++i];
      if (c == '\n') continue;
      if (const size_t plain = kPlain.find(c); plain != kNowhere) {
        value.push_back(kMeaning[plain]);
        continue;
      }
      std::optional<Escape> escape;
      if (c == 'x') escape = Escape{16, 2, true};
      if (c == 'u') escape = Escape{16, 4, true};
      if (c == 'U') escape = Escape{16, 8, true};
      if (c >= '0' && c <= '7') escape = Escape{8, 3, false};
      if (c == 'N') return Error("the escape \\N is not supported");
      if (!escape) {
        value.append({'\\', c});
        continue;
      }
      if (escape->exact) ++i;
      FLOE_RETURN_IF_ERROR(AppendCode(text, *escape, i, value));
    }
    return value;
  }

  // The digits at text[i]; leaves `i` at the last of them.
  absl::Status AppendCode(std::string_view text, Escape escape, size_t& i,
                          std::string& value) const {
    uint32_t code = 0;
    size_t digits = 0;
    for (; digits < escape.most && i + digits < text.size(); ++digits) {
      const char c = absl::ascii_tolower(static_cast<unsigned char>(text[i + digits]));
      const int digit = IsDigit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
      if (digit >= escape.base) break;
      code = code * static_cast<uint32_t>(escape.base) + static_cast<uint32_t>(digit);
    }
    if ((escape.exact && digits != escape.most) || code > 0x10FFFF ||
        (code >= 0xD800 && code < 0xE000)) {
      return Error("an escape in a string is no character");
    }
    AppendUtf8(code, value);
    i += digits - 1;
    return absl::OkStatus();
  }

  const std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the chat template has ", source.size(),
                                                   " bytes; at most ", kMaxTemplateBytes,
                                                   " are supported"));
  }
  const std::string text = WithPlainNewlines(source);
  return Lexer(text).Run();
}

}  // namespace floe::tokenizer::jinja
