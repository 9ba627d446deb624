// Datasets and tokenizers in Postgres (schema `registry`).
#pragma once

#include <string_view>

#include "base/postgres/pool.h"
#include "registry/ports.h"

namespace floe::registry {

// Thread-safe. Borrows the pool.
class PostgresArtifacts final : public Artifacts {
 public:
  explicit PostgresArtifacts(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<Dataset> CreateDataset(const RequestKey& request, const Dataset& dataset) override;
  absl::StatusOr<Dataset> GetDataset(const RevisionName& name) override;
  absl::StatusOr<Listed<Dataset>> ListDatasets(std::string_view team, const Page& page) override;
  absl::StatusOr<TokenizerRevision> CreateTokenizer(const RequestKey& request,
                                                    const TokenizerRevision& tokenizer) override;
  absl::StatusOr<TokenizerRevision> GetTokenizer(const RevisionName& name) override;
  absl::StatusOr<Listed<TokenizerRevision>> ListTokenizers(std::string_view team,
                                                           const Page& page) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::registry
