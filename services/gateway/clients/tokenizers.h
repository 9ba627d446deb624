// Tokenizers and chat templates by digest, fetched from the registry once and kept.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"

#include "gateway/ports.h"
#include "services/registry/client/registry_client.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace floe::gateway {

// How a model reads text and chats.
struct ModelText {
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer;
  // Its tokenizer_config.json's, or ChatML; an error where that template cannot be rendered, which
  // plain completions do not mind.
  absl::StatusOr<tokenizer::ChatTemplate> chat;
};

// Thread-safe. Borrows `registry`. The least recently used leaves first; who still holds one keeps
// it.
class Tokenizers {
 public:
  Tokenizers(registry::RegistryClient& registry, size_t capacity)
      : registry_(registry), capacity_(capacity) {}

  // Never blocks: null when it is not here.
  std::shared_ptr<const ModelText> Find(const ResolvedModel& model);

  // Blocks for the download and the parsing; one caller does it while others of the same files
  // wait. FAILED_PRECONDITION when tokenizer.json is one that this program does not understand.
  absl::StatusOr<std::shared_ptr<const ModelText>> Load(const runtime::OutgoingCall& call,
                                                        const ResolvedModel& model);

 private:
  struct Loaded {
    std::string key;                        // both digests
    std::shared_ptr<const ModelText> text;  // shared with its users
  };
  using Order = std::list<Loaded>;  // most recently used first
  static std::string KeyOf(const ResolvedModel& model);
  std::shared_ptr<const ModelText> FindKey(const std::string& key);
  void Insert(Loaded loaded);
  absl::StatusOr<ModelText> Fetch(const runtime::OutgoingCall& call, const ResolvedModel& model);

  registry::RegistryClient& registry_;
  const size_t capacity_;
  std::mutex mutex_;
  Order order_;                                                         // guarded by mutex_
  std::unordered_map<std::string, Order::iterator> index_;              // guarded by mutex_
  std::unordered_map<std::string, std::weak_ptr<std::mutex>> flights_;  // guarded by mutex_
};

}  // namespace floe::gateway
