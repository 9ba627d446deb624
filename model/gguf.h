// Writes a checkpoint as one GGUF v3 file, the format of llama.cpp.
// Source: ggml-org/ggml, docs/gguf.md; names of keys and tensors as llama.cpp's gguf-py defines
// them for the architectures qwen3, llama, qwen2 and gpt2.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "model/checkpoint.h"

namespace floe::model {

// The tokenizer as GGUF spells it ("gpt2": byte-level BPE).
struct GgufTokenizer {
  enum class Type : int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };
  struct Token {
    std::string text;  // in the byte-level alphabet; added tokens as they are
    Type type = Type::kNormal;
  };
  std::vector<Token> tokens;        // by id; shorter than vocab_size: the rest is unused
  std::vector<std::string> merges;  // "left right"
  std::string pre;                  // llama.cpp's name of the pre-tokenisation: qwen2, gpt-2, …
  std::optional<int64_t> bos, eos, pad;
  bool add_bos = false;
  std::string chat_template;  // Jinja; empty: none
};

// Matrices keep the type that they are stored in, and 8-bit ones become Q8_0 number by number;
// vectors become F32. Written atomically; `path` is replaced. INVALID_ARGUMENT when the tokenizer
// has more tokens than the model, UNIMPLEMENTED for dials that llama.cpp does not compute (a plain
// FFN outside gpt2, llama3's RoPE scaling outside llama) and for 8-bit rows that are no multiple of
// 32; RESOURCE_EXHAUSTED when the disk is full.
absl::Status WriteGguf(const std::filesystem::path& path, const Checkpoint& checkpoint,
                       const GgufTokenizer& tokenizer, const std::string& name);

}  // namespace floe::model
