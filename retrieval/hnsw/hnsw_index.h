// Nearest vectors by a graph of small worlds (Malkov and Yashunin, arXiv:1603.09320), over hnswlib.
#pragma once

#include <cstddef>
#include <memory>

#include "retrieval/ports.h"

namespace floe::retrieval {

struct HnswOptions {
  size_t links = 16;             // M: edges of a vector on a layer
  size_t build_breadth = 200;    // ef_construction: candidates looked at for a new vector
  size_t search_breadth = 128;   // ef: candidates looked at in a search, at least those wanted
  size_t initial_capacity = 64;  // vectors; grows by doubling
};

// The same vectors added in the same order give the same graph. Its memory grows as needed:
// 4 bytes a dimension and about 150 a vector.
std::unique_ptr<VectorIndex> MakeHnswIndex(size_t dimensions, HnswOptions options = {});

}  // namespace floe::retrieval
