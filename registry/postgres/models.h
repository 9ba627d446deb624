// Models, versions and aliases in Postgres (schema `registry`).
#pragma once

#include <string_view>

#include "base/postgres/pool.h"
#include "registry/ports.h"

namespace floe::registry {

// Thread-safe. Borrows the pool.
class PostgresModels final : public Models {
 public:
  explicit PostgresModels(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<Model> GetModel(const OwnedName& name) override;
  absl::StatusOr<Listed<Model>> ListModels(std::string_view team, const Page& page) override;
  absl::StatusOr<ModelVersion> Publish(const RequestKey& request,
                                       const ModelVersion& version) override;
  absl::StatusOr<ModelVersion> GetVersion(const VersionName& name) override;
  absl::StatusOr<Listed<ModelVersion>> ListVersions(const OwnedName& model,
                                                    const Page& page) override;
  absl::StatusOr<ModelVersion> Resolve(std::string_view team, const Reference& reference) override;
  absl::Status DeleteVersion(const RequestKey& request, const VersionName& name,
                             absl::Time now) override;
  absl::StatusOr<Alias> SetAlias(const RequestKey& request, const AliasChange& change) override;
  absl::StatusOr<Alias> GetAlias(const AliasName& name) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::registry
