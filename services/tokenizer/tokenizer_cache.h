// Loaded tokenizers by digest, the least recently used leaving first.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"

#include "services/tokenizer/registry_tokenizers.h"
#include "tokenizer/tokenizer.h"

namespace floe::services::tokenizer {

// Shared: a call may still use a tokenizer that the cache has dropped.
struct LoadedTokenizer {
  std::shared_ptr<const floe::tokenizer::Tokenizer> tokenizer;
  std::string digest;
};

// Thread-safe. Borrows `files`.
class TokenizerCache {
 public:
  // Keeps at most `capacity` >= 1 tokenizers.
  TokenizerCache(TokenizerFiles& files, size_t capacity) : files_(files), capacity_(capacity) {}

  // The registry is asked what `name` means on every call, so the caller's right to it is checked
  // and a new revision counts at once; the file is fetched and parsed only when its digest is not
  // here. INVALID_ARGUMENT when `name` is no tokenizer's name; FAILED_PRECONDITION when the
  // registered file is one that this program does not understand.
  absl::StatusOr<LoadedTokenizer> Get(const runtime::CallContext& call, const std::string& name);

  size_t size() const;

 private:
  using Order = std::list<LoadedTokenizer>;  // most recently used first

  std::shared_ptr<const floe::tokenizer::Tokenizer> Find(const std::string& digest);
  void Insert(LoadedTokenizer loaded);

  TokenizerFiles& files_;
  const size_t capacity_;
  mutable std::mutex mutex_;
  Order order_;                                             // guarded by mutex_
  std::unordered_map<std::string, Order::iterator> index_;  // guarded by mutex_
};

}  // namespace floe::services::tokenizer
