// Hugging Face's tokenizer.json, the part of it that says "byte-level BPE". Pure, thread-safe.
//
// Understood: normalizer NFC or none; model BPE (merges as "a b" or ["a","b"], ignore_merges);
// pre_tokenizer ByteLevel, or a Sequence of Split on one of the known patterns and ByteLevel;
// decoder ByteLevel; added_tokens with all of their flags (added_tokens.h). post_processor is kept
// word for word and not applied; truncation and padding are dropped. Everything else (other models,
// other normalizers, dropout, other patterns) is refused by name, since ignoring it would give
// other ids than the file means.
//
// The order of the list of merges is their rank, also where a merge stands before those that make
// its parts. A pair listed twice has its later place, as Hugging Face reads it. Merges that go
// round cannot be written: a token is named by its bytes, and is longer than both of its parts.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "tokenizer/vocabulary.h"

namespace floe::tokenizer {

// INVALID_ARGUMENT names the field, what stands there and what is accepted; the vocabulary is not
// yet validated as a whole (ValidateVocabulary).
absl::StatusOr<Vocabulary> ParseTokenizerJson(std::string_view json);

// `vocabulary` must be valid. Merges are written as "a b", which every reader knows.
std::string WriteTokenizerJson(const Vocabulary& vocabulary);

}  // namespace floe::tokenizer
