// Tiny checkpoints whose weights follow a formula, so that another program can make the same ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "model/blueprint.h"
#include "model/checkpoint.h"

namespace floe::inference {

// V 64, D 32, L 2, H 4 over 2 key/value heads (gpt2: 4), F 48, context 64.
model::Blueprint TinyBlueprint(model::Family family);

// V 301, D 72, H 6 over 2 of 24 (gpt2: 8 of 9), F 200, context 256: large enough that loops are
// shared among threads, and no multiple of 16 or 32.
model::Blueprint OddBlueprint(model::Family family);

// Element i of tensor `name`: u = splitmix64(fnv1a64(name) + i) / 2^64 - 1/2 with 24 bits; 1 + u/2
// where the tensor is the gain of a norm ("norm" in the name, or gpt2's "ln_*.weight"), else
// u * spread.
float FormulaValue(const std::string& name, int64_t i, float spread);

// The last element of one tensor, where it is not what the formula says; no name: none.
struct OddElement {
  std::string tensor;
  float value = 0;
};

// Writes a checkpoint of that formula to `folder`, which does not exist yet. Its digest.
std::string WriteFormulaCheckpoint(const std::filesystem::path& folder,
                                   const model::Blueprint& blueprint, float spread,
                                   std::map<std::string, std::string> tokenizer_files = {},
                                   const OddElement& odd = {});

// Writes the numbers of an 8-bit checkpoint as 32-bit floats, which hold scale * number exactly, to
// `folder`, which does not exist yet, and opens it. Dies on an error.
model::Checkpoint WriteWidenedCheckpoint(const std::filesystem::path& folder,
                                         const model::Checkpoint& narrow);

// Writes a checkpoint of that formula under testing::TempDir() and opens it. Dies on an error.
model::Checkpoint FormulaCheckpoint(const model::Blueprint& blueprint, float spread = 0.5f,
                                    const OddElement& odd = {});

}  // namespace floe::inference
