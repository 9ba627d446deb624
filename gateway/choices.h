// Several answers, to one prompt or to several: drawn with seeds of their own, merged into one
// stream, ranked.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "gateway/ports.h"

namespace floe::gateway {

// The seed of the answer `index` to a prompt: the request's own for the first, which is thus the
// answer that the prompt would get alone. Pure.
uint64_t SeedOf(uint64_t seed, int32_t index);

// How likely an answer was, as its tokens came.
struct Likelihood {
  double sum = 0;  // of their log-probabilities
  int64_t tokens = 0;
  void Add(const Piece& piece);
  double mean() const;  // of no tokens: 0, the likeliest that there is
};

// Pieces of all streams in turn, each with its index as `choice`. The last piece of each has
// `ended`; only the last of all has `finish`, with the sums of all and the lowest of the tiers that
// were met. Each `each` streams have one prompt, which is counted once. An error of one is the end
// of all.
std::unique_ptr<TokenStream> Merge(std::vector<std::unique_ptr<TokenStream>> streams, int32_t each);

// Of each `each` streams, which have one prompt, the `count` likeliest, whole and best first; those
// that a rule ended come last. `likelihoods` has one for each stream, and is borrowed. `finish`
// counts the others too: they were made.
std::unique_ptr<TokenStream> BestOf(std::vector<std::unique_ptr<TokenStream>> streams,
                                    const std::vector<Likelihood>& likelihoods, int32_t each,
                                    int32_t count);

}  // namespace floe::gateway
