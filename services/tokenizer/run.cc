#include "services/tokenizer/run.h"

#include <memory>

#include "base/status_macros.h"
#include "services/runtime/client.h"
#include "services/runtime/host.h"
#include "services/tokenizer/registry_tokenizers.h"
#include "services/tokenizer/tokenizer_cache.h"
#include "services/tokenizer/tokenizer_rpc.h"

namespace floe::services::tokenizer {

void AddOptions(runtime::Config& config, ServiceOptions& options) {
  config.AddCommon(options.common);
  config.Add("registry", options.registry, "Address of floe-registry, host:port");
  config.Add("cached-tokenizers", options.cached_tokenizers, "How many tokenizers stay in memory");
  config.Add("batch-threads", options.batch_threads, "Threads of one batch call");
  config.AddCheck([&options]() -> absl::Status {
    if (options.registry.empty()) {
      return absl::InvalidArgumentError("registry is missing: give --registry host:port");
    }
    if (options.cached_tokenizers < 1 || options.cached_tokenizers > 1024) {
      return absl::InvalidArgumentError("cached-tokenizers must be 1 to 1024");
    }
    if (options.batch_threads < 1 || options.batch_threads > 64) {
      return absl::InvalidArgumentError("batch-threads must be 1 to 64");
    }
    return absl::OkStatus();
  });
}

absl::Status RunService(const ServiceOptions& options, const runtime::Config& config) {
  FLOE_ASSIGN_OR_RETURN(auto host, runtime::Host::Create("tokenizer", options.common, config));
  FLOE_ASSIGN_OR_RETURN(auto registry, runtime::MakeChannel(options.registry, options.common.tls,
                                                            options.common.insecure));
  const auto files = MakeRegistryTokenizers(std::move(registry));
  TokenizerCache tokenizers(*files, static_cast<size_t>(options.cached_tokenizers));
  TokenizerRpc rpc(host->calls(), tokenizers, options.batch_threads);
  return host->Serve({&rpc});
}

}  // namespace floe::services::tokenizer
