// Embedding models as the registry knows them, with their tokenizers.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "retrieval/ports.h"
#include "services/registry/client/registry_client.h"
#include "services/runtime/client.h"

namespace floe::retrieval {

// The metadata and deadline of a call on behalf of `caller`, at most `at_most` from now.
runtime::OutgoingCall OutgoingFor(const Caller& caller, absl::Duration at_most);

// Thread-safe. Borrows `registry`. What a reference means is asked for every time, on behalf of the
// caller's team, so a team that lost a model loses it here; but a digest that this team was given
// once is not asked for again for a minute: searches do not wait for the registry. Tokenizers and
// chat templates are kept by digest.
class RegistryModels final : public EmbeddingModels {
 public:
  RegistryModels(registry::RegistryClient& registry, const Clock& clock)
      : registry_(registry), clock_(clock) {}

  absl::StatusOr<EmbeddingModel> Resolve(const Caller& caller,
                                         const std::string& reference) override;

 private:
  struct Known {
    std::string key;  // team and reference
    EmbeddingModel model;
    absl::Duration resolved;  // Clock::Monotonic
  };
  std::optional<EmbeddingModel> Recall(const std::string& key);
  void Remember(Known known);
  // What the model reads by, from its tokenizer.json and tokenizer_config.json.
  struct Loaded {
    std::string key;                                        // both digests
    std::shared_ptr<const tokenizer::Tokenizer> tokenizer;  // shared with its users
    absl::StatusOr<tokenizer::ChatTemplate> chat;
  };
  absl::StatusOr<Loaded> TextOf(const Caller& caller, const std::string& tokenizer_digest,
                                const std::string& config_digest);

  registry::RegistryClient& registry_;
  const Clock& clock_;
  std::mutex mutex_;
  std::list<Known> known_;    // most recently used first; guarded by mutex_
  std::list<Loaded> loaded_;  // most recently used first; guarded by mutex_
};

}  // namespace floe::retrieval
