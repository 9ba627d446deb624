// Evaluations and gate policies in Postgres (schema `registry`).
#pragma once

#include <string_view>

#include "base/postgres/pool.h"
#include "registry/ports.h"

namespace floe::registry {

// Thread-safe. Borrows the pool.
class PostgresEvaluations final : public Evaluations {
 public:
  explicit PostgresEvaluations(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<Evaluation> Create(const RequestKey& request,
                                    const Evaluation& evaluation) override;
  absl::StatusOr<Evaluation> Get(std::string_view team, std::string_view id) override;
  absl::StatusOr<Listed<Evaluation>> List(std::string_view team, std::string_view model_digest,
                                          std::string_view dataset_digest,
                                          const Page& page) override;

 private:
  postgres::Pool& pool_;
};

// Thread-safe. Borrows the pool.
class PostgresGates final : public Gates {
 public:
  explicit PostgresGates(postgres::Pool& pool) : pool_(pool) {}

  absl::StatusOr<GatePolicy> Set(const RequestKey& request, const GatePolicy& policy) override;
  absl::StatusOr<GatePolicy> Get(const OwnedName& model) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace floe::registry
