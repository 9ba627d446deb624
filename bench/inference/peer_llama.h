// llama.cpp's own benchmarks on a GGUF file: llama-bench and llama-batched-bench.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace floe::bench {

// Tokens a second at the work of workload.h.
struct PeerSpeeds {
  std::string name;  // "llama.cpp b4747"
  double prefill = 0;
  double decode = 0;
  double batch = 0;
};

// `programs` is the folder that holds the two programs. One round of each kind of work on `threads`
// threads. UNAVAILABLE when a program is not there or fails, with its last words.
absl::StatusOr<PeerSpeeds> RunPeer(const std::filesystem::path& programs,
                                   const std::filesystem::path& gguf, int threads);

}  // namespace floe::bench
