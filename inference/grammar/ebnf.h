// Grammars in EBNF, as llama.cpp writes them (GBNF):
//
//   root  ::= "yes" | "no" ("," ws reason)?   # rule 0 is the one that is called root
//   ws    ::= [ \t]*
//   "…"  [a-z]  [^…]  .                        a text; one character of a set; any character
//   ( … )  |  *  +  ?  {n}  {n,}  {n,m}       as in regular expressions
//   \n \t \r \\ \" \[ \] \- \xHH \uHHHH \UHHHHHHHH
//   # …                                        a comment, to the end of the line
//
// A rule goes on over line breaks inside ( ), before and behind | and behind ::=, and ends where
// the next one begins. Names are of a-z A-Z 0-9 - _.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

#include "inference/grammar/expression.h"

namespace floe::inference::grammar {

inline constexpr size_t kMaxEbnfBytes = 64 << 10;

// Pure. INVALID_ARGUMENT with the place and what is wrong: also a rule that is called and not
// there, one that is there twice, or no root.
absl::StatusOr<Draft> ParseEbnf(std::string_view text);

}  // namespace floe::inference::grammar
