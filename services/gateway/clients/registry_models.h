// Model references resolved by the registry, remembered for a moment.
#pragma once

#include <grpcpp/channel.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "gateway/ports.h"

namespace floe::gateway {

// Thread-safe. Borrows `clock`. A moved alias counts within `fresh_for`; while the registry is away
// what was known is used for `stale_for`, so that it may restart without refusing requests.
class RegistryModels final : public Models {
 public:
  struct Options {
    absl::Duration fresh_for = absl::Seconds(1);
    absl::Duration stale_for = absl::Minutes(1);
    size_t max_entries = 10'000;
  };

  RegistryModels(const std::shared_ptr<grpc::Channel>& registry, const Clock& clock)
      : RegistryModels(registry, clock, Options()) {}
  RegistryModels(const std::shared_ptr<grpc::Channel>& registry, const Clock& clock,
                 Options options);

  Awaitable<absl::StatusOr<ResolvedModel>> Resolve(const CallScope& scope,
                                                   const std::string& reference) override;
  Awaitable<absl::StatusOr<std::vector<ModelSummary>>> List(const CallScope& scope) override;

 private:
  struct Entry {
    ResolvedModel model;
    absl::Duration resolved;  // Clock::Monotonic
  };
  std::optional<Entry> Recall(const std::string& key) const;
  void Remember(const std::string& key, const ResolvedModel& model);

  const std::unique_ptr<registry::v1::RegistryService::Stub> registry_;
  const Clock& clock_;
  const Options options_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // guarded by mutex_; by team and reference
};

// What a version says about itself. FAILED_PRECONDITION when it cannot be served: no tokenizer, or
// a manifest that this program does not understand.
absl::StatusOr<ResolvedModel> FromProto(const registry::v1::ModelVersion& version);

// What of a model can be asked: its bare name when the alias production is set, `model@alias` for
// other aliases, else `model@<latest version>`.
std::vector<ModelSummary> Askable(const registry::v1::Model& model);

}  // namespace floe::gateway
