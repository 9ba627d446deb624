// Tokens read one after the other, and how deep a parser is inside of them. Not thread-safe.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/view.h"
#include "tokenizer/jinja/lexer.h"

namespace floe::tokenizer::jinja {

inline constexpr int kMaxParseDepth = 100;

class TokenStream {
 public:
  // The last token is kEnd; it is never passed.
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  Token Take() {
    const Token& token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool Is(TokenKind kind, std::string_view text, size_t ahead = 0) const {
    return Peek(ahead).kind == kind && Peek(ahead).text == text;
  }
  bool IsName(std::string_view name, size_t ahead = 0) const {
    return Is(TokenKind::kName, name, ahead);
  }
  bool IsOperator(std::string_view text, size_t ahead = 0) const {
    return Is(TokenKind::kOperator, text, ahead);
  }
  bool TakeName(std::string_view name) { return IsName(name) && (Take(), true); }
  bool TakeOperator(std::string_view text) { return IsOperator(text) && (Take(), true); }

  absl::Status Expect(TokenKind kind, std::string_view what) {
    if (Peek().kind != kind) return Error(absl::StrCat(AbslView(what), " is missing"));
    Take();
    return absl::OkStatus();
  }
  absl::Status ExpectOperator(std::string_view text) {
    if (TakeOperator(text)) return absl::OkStatus();
    return Error(absl::StrCat("'", AbslView(text), "' is missing"));
  }
  absl::Status ExpectName(std::string_view name) {
    if (TakeName(name)) return absl::OkStatus();
    return Error(absl::StrCat("'", AbslView(name), "' is missing"));
  }

  absl::Status Error(std::string_view what) const {
    const Token& here = Peek();
    std::string where;
    if (!here.text.empty() && here.kind != TokenKind::kData) {
      where = absl::StrCat(" before '", absl::CHexEscape(here.text.substr(0, 40)), "'");
    }
    return absl::InvalidArgumentError(
        absl::StrCat("line ", here.line, " of the chat template: ", AbslView(what), where));
  }

  // One level deeper for as long as it lives.
  class Level {
   public:
    explicit Level(TokenStream& tokens) : tokens_(tokens) { ++tokens_.depth_; }
    ~Level() { --tokens_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    absl::Status Check() const {
      if (tokens_.depth_ <= kMaxParseDepth) return absl::OkStatus();
      return tokens_.Error(absl::StrCat("more than ", kMaxParseDepth, " levels of nesting"));
    }

   private:
    TokenStream& tokens_;
  };

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

// "filter 'wordwrap' (line 3) is not supported; supported are …".
template <typename Names>
absl::Status NotSupported(std::string_view what, std::string_view name, int line,
                          const Names& supported) {
  std::string list;
  for (const std::string_view one : supported) {
    absl::StrAppend(&list, list.empty() ? "" : ", ", AbslView(one));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(what), " '", absl::CHexEscape(AbslView(name.substr(0, 40))), "' (line ",
                   line, " of the chat template) is not supported; supported are ", list));
}

}  // namespace floe::tokenizer::jinja
