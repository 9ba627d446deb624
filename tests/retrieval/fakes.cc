#include "tests/retrieval/fakes.h"

#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace floe::retrieval {

std::shared_ptr<const tokenizer::Tokenizer> ByteTokenizer() {
  tokenizer::Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  }
  return tokenizer::Tokenizer::Create(std::move(vocabulary)).value();
}

std::string FakeDigest(const std::string& name) {
  std::string digest = absl::BytesToHexString(name);
  digest.resize(64, '0');
  return digest;
}

void FakeModels::Add(const std::string& reference, const std::string& name, int64_t context) {
  const std::lock_guard lock(mutex_);
  const EmbeddingModel model{FakeDigest(name), context, ByteTokenizer()};
  models_[reference] = model;
  models_["sha256:" + model.digest] = model;
}

void FakeModels::Clear() {
  const std::lock_guard lock(mutex_);
  models_.clear();
}

absl::StatusOr<EmbeddingModel> FakeModels::Resolve(const Caller&, const std::string& reference) {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(reference);
  if (found == models_.end()) return absl::NotFoundError("no model " + reference);
  return found->second;
}

std::vector<float> FakeEmbedder::VectorOf(const std::string& digest, const std::string& text) {
  std::vector<double> sum(kDimensions, 0);
  sum[0] = 0.01;  // a text without words has a direction too
  std::string word;
  const auto add = [&] {
    if (word.empty()) return;
    const std::string seed = digest + word;
    std::seed_seq sequence(seed.begin(), seed.end());
    std::mt19937 random(sequence);
    for (double& value : sum) value += static_cast<double>(random()) / 4294967296.0 - 0.5;
    word.clear();
  };
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      word += absl::ascii_tolower(static_cast<unsigned char>(c));
    } else {
      add();
    }
  }
  add();
  double squares = 0;
  for (const double value : sum) squares += value * value;
  std::vector<float> vector;
  for (const double value : sum) vector.push_back(static_cast<float>(value / std::sqrt(squares)));
  return vector;
}

absl::StatusOr<std::vector<std::vector<float>>> FakeEmbedder::Embed(
    const Caller&, const std::string& digest,
    const std::vector<std::vector<tokenizer::TokenId>>& sequences) {
  std::function<void()> hook;
  {
    const std::lock_guard lock(mutex_);
    if (!status_.ok()) return status_;
    sequences_ += static_cast<int64_t>(sequences.size());
    hook = hook_;
  }
  if (hook) hook();
  std::vector<std::vector<float>> vectors;
  for (const auto& ids : sequences) {
    std::string text;
    for (const tokenizer::TokenId id : ids) text += static_cast<char>(id);
    vectors.push_back(VectorOf(digest, text));
  }
  return vectors;
}

void FakeEmbedder::SetStatus(absl::Status status) {
  const std::lock_guard lock(mutex_);
  status_ = std::move(status);
}

void FakeEmbedder::OnEmbed(std::function<void()> hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

int64_t FakeEmbedder::sequences() const {
  const std::lock_guard lock(mutex_);
  return sequences_;
}

}  // namespace floe::retrieval
