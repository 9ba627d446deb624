// Tokenizers as the registry knows them: names resolved, files fetched by digest.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "services/runtime/call.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace floe::services::tokenizer {

// What the tokenizer service needs of the registry.
class TokenizerFiles {
 public:
  virtual ~TokenizerFiles() = default;
  // The SHA-256 of the tokenizer.json that `name` means for the caller: a resource name, newest
  // revision unless it carries @sha256:<digest>. NOT_FOUND also for another team's. Thread-safe.
  virtual absl::StatusOr<std::string> Resolve(const runtime::CallContext& call,
                                              const std::string& name) = 0;
  // The bytes of the file, compared with the digest. DATA_LOSS when they differ. Thread-safe.
  virtual absl::StatusOr<std::string> Fetch(const runtime::CallContext& call,
                                            const std::string& digest) = 0;
};

// By RPC, on behalf of the caller; reads are repeated while the registry is unavailable.
std::unique_ptr<TokenizerFiles> MakeRegistryTokenizers(std::shared_ptr<grpc::Channel> registry);

}  // namespace floe::services::tokenizer
