#include "gateway/guardrails/detector.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include <re2/re2.h>

#include "base/view.h"

namespace floe::gateway::guardrails {
namespace {

constexpr int64_t kMaxProgramBytes = 1 << 20;
constexpr size_t kMaxPhraseBytes = 200;
constexpr size_t kMaxGap = 4;  // white-space characters for one space of a phrase

bool IsWordByte(char c) {
  // Bytes of characters beyond ASCII count as letters.
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

Detector::Detector(Options options, std::unique_ptr<re2::RE2> pattern)
    : options_(std::move(options)), pattern_(std::move(pattern)) {}
Detector::Detector(Detector&&) noexcept = default;
Detector& Detector::operator=(Detector&&) noexcept = default;
Detector::~Detector() = default;

absl::StatusOr<Detector> Detector::Create(Options options) {
  RE2::Options re2;
  re2.set_log_errors(false);
  re2.set_longest_match(true);
  re2.set_max_mem(kMaxProgramBytes);
  auto pattern = std::make_unique<RE2>(options.pattern, re2);
  if (!pattern->ok()) {
    return absl::InvalidArgumentError(absl::StrCat("pattern of \"", options.name,
                                                   "\": ", pattern->error(), " at \"",
                                                   pattern->error_arg(), "\""));
  }
  if (RE2::FullMatch("", *pattern)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pattern of \"", options.name, "\" matches the empty text; it would match everywhere"));
  }
  if (options.max_length < 1 || options.max_length > 4096) {
    return absl::InvalidArgumentError(absl::StrCat("max_length of \"", options.name, "\" is ",
                                                   options.max_length, "; use 1 to 4096 bytes"));
  }
  return Detector(std::move(options), std::move(pattern));
}

std::optional<Match> Detector::Find(std::string_view text, size_t from, size_t limit) const {
  limit = std::min(limit, text.size());
  while (from < limit) {
    re2::StringPiece found;
    // A match that begins before the limit ends before this.
    const size_t end = std::min(text.size(), limit + options_.max_length);
    if (!pattern_->Match(re2::StringPiece(text.data(), text.size()), from, end, RE2::UNANCHORED,
                         &found, 1)) {
      return std::nullopt;
    }
    const auto begin = static_cast<size_t>(found.data() - text.data());
    if (begin >= limit) return std::nullopt;
    if (!found.empty()) {
      if (auto match = Accept(text, {begin, begin + found.size()})) return match;
    }
    from = begin + 1;
  }
  return std::nullopt;
}

std::optional<Match> Detector::Accept(std::string_view text, Match candidate) const {
  if (options_.not_inside_word && candidate.begin > 0 && IsWordByte(text[candidate.begin - 1]) &&
      IsWordByte(text[candidate.begin])) {
    return std::nullopt;
  }
  if (candidate.end - candidate.begin > options_.max_length) {
    // A longer match does not count, but a shorter one at the same place may.
    re2::StringPiece found;
    if (!pattern_->Match(re2::StringPiece(text.data(), text.size()), candidate.begin,
                         candidate.begin + options_.max_length, RE2::ANCHOR_START, &found, 1) ||
        found.empty()) {
      return std::nullopt;
    }
    candidate.end = candidate.begin + found.size();
  }
  const char next = candidate.end < text.size() ? text[candidate.end] : '\0';
  if (options_.validator) {
    const size_t length =
        options_.validator(text.substr(candidate.begin, candidate.end - candidate.begin), next);
    if (length == 0) return std::nullopt;
    candidate.end = candidate.begin + length;
  } else if (options_.not_inside_word && IsWordByte(next) && IsWordByte(text[candidate.end - 1])) {
    return std::nullopt;
  }
  return candidate;
}

absl::StatusOr<Detector> WordListDetector(std::string name,
                                          const std::vector<std::string>& phrases) {
  if (phrases.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("word list \"", name, "\" is empty"));
  }
  std::vector<std::string> alternatives;
  size_t max_length = 0;
  for (const std::string& phrase : phrases) {
    const std::vector<std::string> words =
        absl::StrSplit(phrase, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty());
    if (words.empty() || phrase.size() > kMaxPhraseBytes) {
      return absl::InvalidArgumentError(absl::StrCat("word list \"", name, "\": \"", phrase,
                                                     "\" must have 1 to ", kMaxPhraseBytes,
                                                     " bytes that are not white space"));
    }
    std::string pattern;
    size_t length = 0;
    for (const std::string& word : words) {
      if (!pattern.empty()) {
        absl::StrAppend(&pattern, "\\s{1,", kMaxGap, "}");
        length += kMaxGap;
      }
      pattern += RE2::QuoteMeta(re2::StringPiece(word));
      length += word.size();
    }
    alternatives.push_back(std::move(pattern));
    max_length = std::max(max_length, length);
  }
  return Detector::Create({.name = std::move(name),
                           .pattern = absl::StrCat("(?i:", absl::StrJoin(alternatives, "|"), ")"),
                           .max_length = max_length,
                           .not_inside_word = true});
}

}  // namespace floe::gateway::guardrails
