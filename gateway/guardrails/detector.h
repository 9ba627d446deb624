// What a rule looks for: one kind of text, found in linear time.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}  // namespace re2

namespace floe::gateway::guardrails {

// A span of bytes of the text that was searched.
struct Match {
  size_t begin = 0;
  size_t end = 0;
  bool operator==(const Match&) const = default;
};

// A detector looks at most this many bytes behind and beyond a match: for "no digit before it".
inline constexpr size_t kContextBytes = 4;

// Immutable; safe to use from many threads. Patterns run on RE2, whose time is linear in the text:
// no pattern and no text can make it explode.
class Detector {
 public:
  // Says where an accepted match ends inside a candidate's bytes (0: it is none). `next` is the
  // byte behind the candidate, '\0' at the end of the text. Null: every candidate is a match.
  using Validator = std::function<size_t(std::string_view candidate, char next)>;

  struct Options {
    std::string name;     // what findings and placeholders call it: `card`
    std::string pattern;  // RE2 syntax; the leftmost longest candidate counts
    Validator validator;  // for checksums
    size_t max_length =
        256;  // bytes; longer candidates are cut here. Bounds what a stream holds back
    bool not_inside_word = false;  // no letter or digit may touch the match
  };

  // INVALID_ARGUMENT tells what is wrong with the pattern and where: RE2's own words, an empty
  // match, a program over 1 MiB.
  static absl::StatusOr<Detector> Create(Options options);
  Detector(Detector&&) noexcept;
  Detector& operator=(Detector&&) noexcept;
  ~Detector();

  // The first match that begins in [from, limit). Bytes before `from` are its left context. Without
  // `whole`, text may follow, so the caller keeps `limit` at least max_length() + kContextBytes
  // away from the end.
  std::optional<Match> Find(std::string_view text, size_t from, size_t limit) const;

  const std::string& name() const { return options_.name; }
  size_t max_length() const { return options_.max_length; }

 private:
  Detector(Options options, std::unique_ptr<re2::RE2> pattern);
  // The longest accepted match that begins exactly at `begin`.
  std::optional<Match> Accept(std::string_view text, Match candidate) const;

  Options options_;
  std::unique_ptr<re2::RE2> pattern_;
};

// The built-in ones: `email`, `phone`, `iban` (mod 97), `card` (Luhn), `secret` (keys and tokens by
// their shape, PEM private keys, JWTs), `injection` (phrases that try to override instructions).
// NOT_FOUND lists them.
absl::StatusOr<Detector> BuiltInDetector(std::string_view name);
std::vector<std::string_view> BuiltInDetectorNames();

// Words or phrases, in any case (ASCII), not inside other words; up to four white-space characters
// stand for each space of a phrase. INVALID_ARGUMENT for an empty phrase, or one over 200 bytes.
absl::StatusOr<Detector> WordListDetector(std::string name,
                                          const std::vector<std::string>& phrases);

}  // namespace floe::gateway::guardrails
