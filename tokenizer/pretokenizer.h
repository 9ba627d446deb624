// Pre-tokenisation: cuts text into the pieces that byte-pair merges never cross. Hand-written
// scanners for four published patterns, equal to what a regex engine finds with them, in linear
// time:
//
//   gpt2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//   cl100k  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}
//           | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+          (Llama-3 too)
//   qwen2   cl100k with \p{N} for \p{N}{1,3}
//   o200k   [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|…)?
//           |[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|…)?
//           |\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// Any bytes are accepted: a byte that starts no UTF-8 character counts as one symbol that is
// neither letter, number nor space. Pieces put together are always the input. Pure, thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace floe::tokenizer {

enum class Pattern { kGpt2, kCl100k, kQwen2, kO200k };

// "gpt2", "cl100k", "qwen2", "o200k".
std::string_view PatternName(Pattern pattern);
std::optional<Pattern> PatternFromName(std::string_view name);

// The pattern as a regular expression, as tokenizer.json files spell it.
std::string_view PatternRegex(Pattern pattern);
std::optional<Pattern> PatternFromRegex(std::string_view regex);

// Where the piece that starts at `begin` < text.size() ends.
size_t PieceEnd(Pattern pattern, std::string_view text, size_t begin);

// The end of the white space that starts at `begin` <= text.size(), and the start of that which
// ends at `end`; maybe empty.
size_t WhiteSpaceEnd(std::string_view text, size_t begin);
size_t WhiteSpaceBegin(std::string_view text, size_t end);

// All pieces in order; they point into `text`.
std::vector<std::string_view> SplitPieces(Pattern pattern, std::string_view text);

}  // namespace floe::tokenizer
