// Tokenizers by digest, fetched from the registry once and kept.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"

#include "services/registry/client/registry_client.h"
#include "tokenizer/tokenizer.h"

namespace floe::gateway {

// Thread-safe. Borrows `registry`. The least recently used leaves first; who still holds one keeps
// it.
class Tokenizers {
 public:
  Tokenizers(registry::RegistryClient& registry, size_t capacity)
      : registry_(registry), capacity_(capacity) {}

  // Never blocks: null when it is not here.
  std::shared_ptr<const tokenizer::Tokenizer> Find(const std::string& digest);

  // Blocks for the download and the parsing; one caller does it while others of the same digest
  // wait. FAILED_PRECONDITION when the file is one that this program does not understand.
  absl::StatusOr<std::shared_ptr<const tokenizer::Tokenizer>> Load(
      const runtime::OutgoingCall& call, const std::string& digest);

 private:
  struct Loaded {
    std::string digest;
    std::shared_ptr<const tokenizer::Tokenizer> tokenizer;  // shared with its users
  };
  using Order = std::list<Loaded>;  // most recently used first
  void Insert(Loaded loaded);

  registry::RegistryClient& registry_;
  const size_t capacity_;
  std::mutex mutex_;
  Order order_;                                                         // guarded by mutex_
  std::unordered_map<std::string, Order::iterator> index_;              // guarded by mutex_
  std::unordered_map<std::string, std::weak_ptr<std::mutex>> flights_;  // guarded by mutex_
};

}  // namespace floe::gateway
