// Tiny checkpoints of bytes in a content-addressed store, as a registry leaves them there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/inference/tiny_checkpoint.h"

namespace floe::inference {

// Ids 0 to 255 are the bytes, 256 is the only other one.
inline constexpr int32_t kEndOfText = 256;

// A tokenizer of those ids; the last one is an added token of that name.
std::string ByteTokenizerJson(const std::string& last = "<|endoftext|>");

struct PublishedCheckpoint {
  float spread = 0.5f;  // of the weights: tells several apart
  int64_t context = 512;
  int64_t layers = 2;
  std::string tokenizer_json = ByteTokenizerJson();
  std::string chat_template = {};  // none where it is empty
  OddElement odd = {};             // a weight that is not as it should be
};

// Makes it in `folder`, which does not exist yet, and copies it into the store `blobs`. Its digest.
std::string PublishCheckpoint(const std::filesystem::path& folder,
                              const std::filesystem::path& blobs,
                              const PublishedCheckpoint& options);

}  // namespace floe::inference
