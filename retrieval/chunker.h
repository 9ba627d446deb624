// Cuts documents into chunks of a bounded number of tokens, each sharing some with the one before.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

#include "retrieval/document.h"
#include "retrieval/sections.h"
#include "tokenizer/tokenizer.h"

namespace floe::retrieval {

struct ChunkLimits {
  int chunk_tokens = 128;  // at least 1
  int overlap_tokens = 16;
};

// The document's chunks in order. None is blank, none begins or ends with white space, and none has
// more tokens than the limit. Chunks end at a paragraph's, a sentence's or a line's end where one
// is near. INVALID_ARGUMENT as SectionsOf says. Pure.
absl::StatusOr<std::vector<Chunk>> ChunksOf(const NewDocument& document,
                                            const tokenizer::Tokenizer& tokenizer,
                                            const ChunkLimits& limits);

}  // namespace floe::retrieval
