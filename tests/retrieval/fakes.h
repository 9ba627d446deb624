// Models and embeddings that a test can foretell.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "retrieval/ports.h"

namespace floe::retrieval {

// A tokenizer whose tokens are the bytes.
std::shared_ptr<const tokenizer::Tokenizer> ByteTokenizer();

// The digest of model `name`: its name in hexadecimal, filled up with zeros.
std::string FakeDigest(const std::string& name);

// Models by the names that a test has given; every one has the tokenizer of bytes.
// `sha256:<digest>` is known for them too. Thread-safe.
class FakeModels final : public EmbeddingModels {
 public:
  void Add(const std::string& reference, const std::string& name, int64_t context = 512);
  // No reference is known any more.
  void Clear();
  absl::StatusOr<EmbeddingModel> Resolve(const Caller& caller,
                                         const std::string& reference) override;

 private:
  std::mutex mutex_;
  std::map<std::string, EmbeddingModel> models_;  // guarded by mutex_
};

// A text's vector is the sum of its words' vectors, which are drawn by the word and the digest:
// texts that share words are near. Thread-safe.
class FakeEmbedder final : public Embedder {
 public:
  static constexpr size_t kDimensions = 24;

  absl::StatusOr<std::vector<std::vector<float>>> Embed(
      const Caller& caller, const std::string& digest,
      const std::vector<std::vector<tokenizer::TokenId>>& sequences) override;
  static std::vector<float> VectorOf(const std::string& digest, const std::string& text);

  // What every call answers while it is not OK.
  void SetStatus(absl::Status status);
  // Called before each answer.
  void OnEmbed(std::function<void()> hook);
  int64_t sequences() const;

 private:
  mutable std::mutex mutex_;
  absl::Status status_;         // guarded by mutex_
  std::function<void()> hook_;  // guarded by mutex_
  int64_t sequences_ = 0;       // guarded by mutex_
};

}  // namespace floe::retrieval
