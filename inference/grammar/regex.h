// Regular expressions, as a constraint reads them.
//
//   a \n \t \r \f \v \0 \xHH \x{H…} \uHHHH    characters; \ before punctuation takes it as it is
//   .  [a-z]  [^a-z]  \d \w \s \D \W \S       one character of a set (\d \w \s are ASCII, . has no
//   \n) (…)  (?:…)  (?<name>…)  (?P<name>…)       groups; names mean nothing a|b  *  +  ?  {n} {n,}
//   {n,m}            lazy forms (*?) match the same texts ^  $ at the beginning and end of the
//   whole or of one of its
//                                             outermost alternatives
//
// What is not regular or not here is refused by name: back-references, look-around, \b, flags,
// \p{…}, possessive repetition.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

#include "inference/grammar/expression.h"

namespace floe::inference::grammar {

enum class RegexMatch {
  kWhole,   // the text is what the expression describes
  kSearch,  // the text has such a part, as a JSON Schema's `pattern` means it
};

inline constexpr size_t kMaxRegexBytes = 16 << 10;

// Pure. INVALID_ARGUMENT with the place (in characters) and what to write instead.
absl::StatusOr<Expression> ParseRegex(std::string_view pattern,
                                      RegexMatch match = RegexMatch::kWhole);

}  // namespace floe::inference::grammar
