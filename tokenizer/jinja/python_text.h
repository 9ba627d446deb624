// Python's str, on UTF-8: characters are code points, and a byte that is none counts as one.
//
// Pure, thread-safe. Case mapping covers ASCII alone and says so for the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "tokenizer/jinja/text.h"

namespace floe::tokenizer::jinja {

// str.isspace of one character, by the Unicode Character Database.
bool IsSpace(char32_t c);

// Where each character begins, and the end.
std::vector<size_t> CharacterBounds(std::string_view text);

// The elements that [start:stop:step] takes of `size`, as Python's slice.indices; `step` is not 0.
struct SliceRange {
  int64_t start;
  int64_t step;
  int64_t count;
};
SliceRange ResolveSlice(std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step,
                        int64_t size);

// str.strip, lstrip and rstrip: of Python's whitespace, or of the characters of `characters`.
Text Strip(const Text& text, bool left, bool right, std::optional<std::string_view> characters);
// str.split: at runs of whitespace without a separator. A separator is not empty; `most` < 0: all.
std::vector<Text> Split(const Text& text, std::optional<std::string_view> separator, int64_t most);
// str.replace of a non-empty `from`.
Text Replace(const Text& text, std::string_view from, const Text& to);

enum class Case { kUpper, kLower, kCapitalize };
// INVALID_ARGUMENT for text beyond ASCII: Unicode's mappings are not part of the subset.
absl::StatusOr<Text> ToCase(Text text, Case wanted);

}  // namespace floe::tokenizer::jinja
